"""What is to be sent next, by which association: the look-ahead, the series, the retries. No I/O of its own.

Sources are looked at only as far ahead as needed, up to `LOOK_AHEAD` instances, by whoever asks for the next task;
with one association that is while it waits for a response, so scanning costs no time of its own. Everything here
happens under one lock, which is the only thing that the associations of a batch share.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush, nsmallest
from itertools import islice
from threading import Condition
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicomkit.sources import Instance

LOOK_AHEAD = 1000
# How many bytes of memory what is in sight may take, where its content is not on disk; one instance may take more.
AHEAD_BYTES = 64 << 20
# How much is looked at before the first association is proposed. Enough for a study of many kinds to be negotiated
# at once; the rest of the look-ahead fills up while instances are on their way.
FIRST_LOOK = 100
# Sources looked at for each task that is taken, so that the look-ahead grows without holding a transfer up.
LOOKS_PER_TASK = 2
# How often a slow source is asked again once nothing is sent any more.
ARRIVAL_SECONDS = 0.1


class Task:
    """One instance to be sent: where it stands in the batch, and how often it was tried."""

    __slots__ = (
        *("alone", "claimed_by", "fingerprint", "index", "instance", "looks", "not_before", "note", "number"),
        "unpacked",
    )

    def __init__(self, index: int, instance: Instance, note: str = "", fingerprint: str = "") -> None:
        # `not_before` is set while it waits to be tried again; 0.0 otherwise. `note` is about what was found, and
        # `unpacked` about how it is sent.
        self.index = index
        self.instance = instance
        self.note = note
        self.fingerprint = fingerprint
        self.number = 1
        self.looks = 1
        self.not_before = 0.0
        self.alone = False
        self.unpacked = ""
        self.claimed_by: int | None = None

    @property
    def kind(self) -> tuple[str, str]:
        return self.instance.sop_class_uid, self.instance.transfer_syntax

    @property
    def remarks(self) -> str:
        """What its row says besides what became of it."""
        return "; ".join(filter(None, (self.note, self.unpacked)))

    def __lt__(self, other: Task) -> bool:
        return (self.not_before, self.index) < (other.not_before, other.index)


FREE = -1  # the owner of a series that no worker has


class NotYet(Exception):
    """The sources have nothing to look at right now; they will say when they have, unless it is for a descriptor."""


class Plan:
    """Hands out tasks to `associations` workers, numbered from 0.

    Parameters
    ----------
    tasks
        What was found, in source order, looked at when asked for; None for what makes no task. May raise
        `NotYet`, so it is no generator.
    associations
        With one, strictly in source order. With more, each worker takes its tasks in source order, and a series
        belongs to one worker while it is in sight, as long as there are at least as many series in sight as workers;
        with fewer, they share them, so that none is idle.
    max_rate
        Tasks handed out a second, at most, evenly spread.

    Attributes
    ----------
    workers : int
        How many are at work now; between 1 and `associations`.
    may_take : callable
        Asked before anything is handed out; says no while the batch is paused.
    is_short : callable
        Asked when a source was not looked at: whether for want of a file descriptor, which a worker may then free.
    is_crowded : bool
        Set when the kinds in sight need more presentation contexts than an association has: then what fits the
        association at hand goes first, rather than opening another for each change of kind.
    held_bytes : int
        How many bytes of memory what is in sight, or waits to be tried again, takes.
    """

    def __init__(
        self, tasks: Iterator[Task | None], associations: int, *, max_rate: float | None = None
    ) -> None:
        self._tasks = tasks
        self.workers = associations
        self._by_series = associations > 1
        self._pace = 0.0 if max_rate is None else 1 / max_rate
        self._next_turn = 0.0
        self._changed = Condition()
        self._series: dict[str, deque[Task]] = {}
        self._owners: dict[str, int] = {}
        self._owned: Counter[int] = Counter()
        # The first task of each series, by owner; an entry that is not true any more is dropped when it comes up.
        self._heads: dict[int, list[tuple[int, str]]] = {}
        self._busy: dict[str, int] = {}
        self._waiting: list[Task] = []
        self._size = 0
        self._newest_bytes = 0
        self._under_way = 0
        self._exhausted = False
        self._came_across = False
        self._stopped = False
        self._hold_until = 0.0
        self.is_crowded = False
        self.held_bytes = 0
        self.may_take: Callable[[], bool] = lambda: True
        self.is_short: Callable[[], bool] = lambda: False

    # ------------------------------------------------------------------------------------------ workers

    def wait_for_work(
        self, worker: int, seconds: float | None = None, *, may_open: Callable[[], bool] = lambda: True
    ) -> bool | None:
        """Wait until there is something for this worker: True; None when the seconds are over; False at the end.

        It is the end for a worker when nothing is left to be handed out: what others have under way, and may have to
        try again, stays with them. Receivers that serve few associations at a time lose time over those that idle.
        True also when the sources gave something that makes no task, so that it is told of at once. `may_open` is
        asked when there is a task: a worker without an association waits for as long as it may not open one.
        """
        deadline = None if seconds is None else monotonic() + seconds
        with self._changed:
            while True:
                now = monotonic()  # before the look, so that no hold ends unseen between the two
                if self._stopped or self._is_handed_out():
                    return False
                task = self._pick(worker, look=True) if self.may_take() else None
                if task is not None and may_open():
                    return True
                if self._is_handed_out():
                    return False
                if self._came_across:
                    self._came_across = False
                    return True
                if deadline is not None and now >= deadline:
                    return None
                due = [deadline] if deadline is not None else []
                if task is None and self.may_take():
                    next_tries = [task.not_before for task in self._waiting if _is_for(worker, task)]
                    held_until = max(self._hold_until, self._next_turn)
                    if next_tries or held_until > now:
                        due.append(max(min(next_tries, default=0.0), held_until))
                self._changed.wait(max(min(due) - now, 0.001) if due else None)

    def take(self, worker: int, fits: Callable[[Task], bool]) -> Task | None:
        """The next task of this worker if it is there and fits the association at hand; never waits."""
        with self._changed:
            if self._stopped or not self.may_take():
                return None
            task = self._pick(worker, look=False)
            if task is not None and not fits(task):
                task = self._first_that(fits, worker) if self.is_crowded else None
            if task is None:
                return None
            self._remove(worker, task)
            if self._pace:
                now = monotonic()
                # What came late may be made up for by one turn, so that the rate is held on the average.
                turn = max(self._next_turn, now - self._pace) if self._next_turn else now
                self._next_turn = turn + self._pace
            if self._size < LOOK_AHEAD:
                self._look(LOOKS_PER_TASK)
            return task

    def kinds_in_sight(self, worker: int) -> list[tuple[str, str]]:
        """The kinds of all tasks in sight, this worker's next one first."""
        with self._changed:
            kinds: dict[tuple[str, str], None] = {}
            task = self._pick(worker, look=False)
            if task is not None:
                kinds[task.kind] = None
            for tasks in self._series.values():
                for task in tasks:
                    kinds[task.kind] = None
            for task in self._waiting:
                kinds[task.kind] = None
            return list(kinds)

    def peek(self, worker: int) -> Task | None:
        """The task that comes next for this worker, left where it is."""
        with self._changed:
            return None if self._stopped else self._pick(worker, look=False)

    def upcoming(self, worker: int, count: int) -> list[Instance]:
        """What this worker is likely to take next, in source order; at most `count`."""
        with self._changed:
            series = (tasks for key, tasks in self._series.items() if self._owners.get(key, worker) == worker)
            tasks = (task for tasks in series for task in islice(tasks, count))
            return [task.instance for task in nsmallest(count, tasks, key=lambda task: task.index)]

    def done(self, task: Task) -> None:
        """This task has its last row."""
        with self._changed:
            self._let_go(task)
            if self._by_series:  # which may be free for others now
                self._changed.notify_all()

    def put_back(self, task: Task) -> None:
        """It was taken, but not tried: it comes first again."""
        with self._changed:
            self._let_go(task)
            self._queue(task, first=True)
            self._changed.notify_all()

    def look_again(self, task: Task, find: Callable[[Task], bool]) -> None:
        """It was taken, and is not what was looked at any more: `find` makes it what it is now.

        Then it comes first again; unless `find` says that it makes no task.
        """
        with self._changed:
            self._let_go(task)  # while it still is of the series that it was taken from
            if find(task):
                self._queue(task, first=True)
            else:
                self._came_across = True
            self._changed.notify_all()

    def try_again(self, task: Task, seconds: float) -> None:
        """Try it again after so many seconds."""
        with self._changed:
            self._let_go(task)
            self.held_bytes += task.instance.held_bytes
            task.not_before = monotonic() + seconds
            heappush(self._waiting, task)
            self._changed.notify_all()

    def hold(self, seconds: float) -> None:
        """Nobody takes anything for so long: the peer needs a rest."""
        with self._changed:
            self._hold_until = max(self._hold_until, monotonic() + seconds)

    def leave(self, worker: int) -> None:
        """This worker takes nothing more: its series are free for the others."""
        with self._changed:
            self._disown([key for key, owner in self._owners.items() if owner == worker])
            for task in self._waiting:
                if task.claimed_by == worker:
                    task.claimed_by = None
            self._changed.notify_all()

    def share(self) -> None:
        """Another worker has come: the series that nothing is under way of are free for it."""
        with self._changed:
            self._disown([key for key in self._owners if key not in self._busy])
            self._changed.notify_all()

    def wake(self) -> None:
        """Have every waiting worker look again: paused, resumed, cancelled, or new sources."""
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """Hand out nothing more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def rest(self) -> Iterator[Task | None]:
        """What was never handed out, in source order, and then what was not looked at yet; None now and then."""
        with self._changed:
            left = [task for tasks in self._series.values() for task in tasks] + self._waiting
            self._series.clear()
            self._waiting.clear()
            self.held_bytes = 0
        yield from sorted(left, key=lambda task: task.index)
        while True:
            task = None
            try:
                with self._changed:
                    task = next(self._tasks)
            except StopIteration:
                return
            except NotYet:
                with self._changed:
                    self._changed.wait(ARRIVAL_SECONDS)
            yield task

    @property
    def is_stopped(self) -> bool:
        return self._stopped

    @property
    def is_giving(self) -> bool:
        """Whether it is neither stopped nor paused."""
        return not self._stopped and self.may_take()

    @property
    def is_over(self) -> bool:
        """Whether nothing will be handed out any more."""
        with self._changed:
            return self._stopped or self._is_finished()

    # ------------------------------------------------------------------------------------------ under the lock

    def _is_handed_out(self) -> bool:
        return self._exhausted and not self._size and not self._waiting

    def _is_finished(self) -> bool:
        return self._is_handed_out() and not self._under_way

    def _pick(self, worker: int, look: bool) -> Task | None:
        """The task that comes next for this worker, left where it is."""
        now = monotonic() if self._waiting or self._hold_until or self._next_turn else 0.0
        if self._hold_until > now or self._next_turn > now:
            return None
        if self._waiting and self._waiting[0].not_before <= now:
            task = self._due(worker, now)
            if task is not None:
                return task
        if look and self._size < FIRST_LOOK:
            self._look(FIRST_LOOK - self._size)
        if not self._by_series:
            tasks = self._series.get("")
            return tasks[0] if tasks else None
        if look:
            for _ in range(LOOK_AHEAD - self._size):
                if len(self._series) >= self.workers or not self._look(1):
                    break
        mine, free = self._head(worker), self._head(FREE)
        if mine is None or free is None:
            return mine or free
        in_sight = max(len(self._series), len(self._owners))
        if self._owned[worker] * self.workers >= in_sight:
            return mine  # it has its share of the series: the rest is for those that are still being opened
        return min(mine, free, key=lambda task: task.index)

    def _due(self, worker: int, now: float) -> Task | None:
        """What this worker should try again. What is tried alone, on an association of its own, has one worker."""
        task = self._waiting[0]
        if not _is_for(worker, task):
            others = (task for task in self._waiting if task.not_before <= now and _is_for(worker, task))
            if (task := min(others, default=None)) is None:  # type: ignore[assignment]
                return None
        if task.alone:
            task.claimed_by = worker
        return task

    def _head(self, owner: int) -> Task | None:
        """The first task of the series of this owner, in source order."""
        heads = self._heads.get(owner)
        while heads:
            index, key = heads[0]
            tasks = self._series.get(key)
            if tasks and tasks[0].index == index and self._owners.get(key, FREE) == owner:
                return tasks[0]
            heappop(heads)
        return None

    def _offer(self, key: str) -> None:
        """The series has another first task, or another owner."""
        if self._by_series and key in self._series:
            heads = self._heads.setdefault(self._owners.get(key, FREE), [])
            heappush(heads, (self._series[key][0].index, key))

    def _disown(self, keys: list[str]) -> None:
        for key in keys:
            self._owned[self._owners.pop(key)] -= 1
            self._offer(key)

    def _first_that(self, fits: Callable[[Task], bool], worker: int) -> Task | None:
        for key, tasks in self._series.items():
            if self._owners.get(key, worker) == worker:
                for task in tasks:
                    if fits(task):
                        return task
        return None

    def _remove(self, worker: int, task: Task) -> None:
        self._under_way += 1
        self.held_bytes -= task.instance.held_bytes
        key = self._key(task)
        self._busy[key] = self._busy.get(key, 0) + 1
        if task.not_before:
            if self._waiting[0] is task:
                heappop(self._waiting)
            else:
                self._waiting.remove(task)
                heapify(self._waiting)
            return
        if self.workers > 1 and key not in self._owners:
            in_sight = self._series.keys() | self._owners.keys()
            if len(in_sight) >= self.workers:
                self._owners[key] = worker
                self._owned[worker] += 1
        self._size -= 1
        tasks = self._series[key]
        tasks.remove(task)  # the first one, but for a crowded plan
        if not tasks:
            del self._series[key]
        self._offer(key)

    def _let_go(self, task: Task) -> None:
        self._under_way -= 1
        task.claimed_by = None
        task.not_before = 0.0
        key = self._key(task)
        self._busy[key] -= 1
        if not self._busy[key]:
            del self._busy[key]
            if key not in self._series and key in self._owners:
                self._disown([key])

    def _key(self, task: Task) -> str:
        return task.instance.series_instance_uid or "" if self._by_series else ""

    def _queue(self, task: Task, *, first: bool) -> None:
        self._size += 1
        self.held_bytes += task.instance.held_bytes
        tasks = self._series.setdefault(self._key(task), deque())
        if first:
            tasks.appendleft(task)
        else:
            tasks.append(task)
        if tasks[0] is task:
            self._offer(self._key(task))

    def _look(self, count: int) -> bool:
        """Look at so many more sources; False when there is nothing more for now."""
        if self._exhausted:
            return False
        for _ in range(count):
            # The next one is taken to be as large as the one before.
            if self.held_bytes and self.held_bytes + self._newest_bytes > AHEAD_BYTES:
                return False
            try:
                task = next(self._tasks)
            except StopIteration:
                self._exhausted = True
                self._changed.notify_all()
                return False
            except NotYet:
                self._came_across = self._came_across or self.is_short()
                return False
            if task is None:
                self._came_across = True
                continue
            self._newest_bytes = task.instance.held_bytes
            self._queue(task, first=False)
            if self.workers > 1:
                self._changed.notify_all()
        return True


def _is_for(worker: int, task: Task) -> bool:
    return task.claimed_by is None or task.claimed_by == worker
