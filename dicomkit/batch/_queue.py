"""What is to be sent next, by which worker.

Theory of operation
-------------------
One vocabulary runs from here to the rows. An *instance* is what was found in a source. A *task* is an
instance that is to be sent in this batch; its `index` is the position in source order, which rows show as
``instance``, and its `attempt_number` says which attempt comes next. An *attempt* is one try to send it over
one *association*. A *row* is what is recorded of an attempt, or of what never had one.

The queue pulls from one iterator, the intake, which says for each find what it is: a `Task`; an `Untried`,
which has its row already and will not be sent (unreadable, say, or held by the ledger as stored); None for
what has neither. Workers pull from the queue, and are handed one or the other. An `Untried` comes out before
any task, whoever asks next, and is recorded by who got it, outside the lock: the code of a listener runs
then. So nothing has to be looked after beside the queue.

Nothing runs in the background here. Sources are looked at by whoever asks for a task: `FIRST_LOOK` of them
when there is none, so that the first association can be proposed for all the kinds of a study, and then
`LOOKS_PER_TASK` for each task that is taken, until `LOOK_AHEAD` are in sight. A worker takes its next task
while the peer is at work on the one before, so that scanning costs no time of its own. What is in memory is
bounded, too (`Prefetch`).

A task is in one of four places. It is *in sight*, in the deque of its series; or *under way*, taken by a
worker; or *waiting*, in a heap, until the moment at which it may be tried again; or it is done and forgotten.
`take` brings it under way; `done`, `put_back`, `look_again` and `try_again` end that, one of them for each
`take`.

With one worker all tasks are one series, and the order is that of the sources. With several, a series that is
taken from gets an owner, and the owner alone goes on with it, so that an archive receives each series in
order. That holds as long as there are at least as many series in sight as workers; with fewer, nobody becomes
an owner, and they share what there is. An owner is not for ever: when a series is neither in sight nor under
way, when the worker leaves, or when one more worker comes (`share`), it is free again. A worker takes the
first task, in source order, of its own and the free series; from the free ones only while it has fewer than
its share of the series, since the others may still be opening their associations. To find that first task
among a thousand series, the first tasks of each owner's series are in a heap. It is not kept tidy: an entry
that is not true any more is dropped when it comes up.

A worker waits (`wait`) until it may do something, and is given the task without taking it: first an
association has to be there that carries its kind, and while that is opened another worker may take it. It
takes it (`take`) once it says what fits. Everything happens under one lock, which is all that the workers of
a batch share in their normal course, and every change that somebody may wait for notifies them all: they are
few.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from enum import Enum
from heapq import heapify, heappop, heappush, nsmallest
from itertools import chain, islice
from threading import Condition
from time import monotonic
from typing import TYPE_CHECKING

from dicomkit._support.frozen import Frozen
from dicomkit.results import SendResult

if TYPE_CHECKING:
    from dicomkit.sources import Instance

LOOK_AHEAD = 1000
# How many bytes of memory what is in sight may take, where its content is not on disk; one instance may take
# more.
AHEAD_BYTES = 64 << 20
FIRST_LOOK = 100
LOOKS_PER_TASK = 2
# How often a slow source is asked again once nothing is sent any more.
ARRIVAL_SECONDS = 0.1


class Task:
    """One instance to be sent: where it stands in the batch, and how often it was tried."""

    __slots__ = (
        *(
            "attempt_number",
            "claimed_by",
            "fingerprint",
            "index",
            "instance",
            "is_alone",
            "looks",
            "not_before",
        ),
        *("note", "unpacked"),
    )

    def __init__(self, index: int, instance: Instance) -> None:
        self.index = index  # position in source order
        self.instance = instance
        self.note = ""  # what its row says of what was found
        self.unpacked = ""  # what its row says of how it is sent
        self.fingerprint = ""  # by what the ledger knows the source again
        self.attempt_number = 1  # of the next attempt, or of the one under way
        self.looks = 1  # at its source
        self.not_before = 0.0  # set while it waits to be tried again
        # To be tried on an association of its own, by one worker, since it may be what ended the one before.
        self.is_alone = False
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


class Untried(Frozen):
    """What was found and will not be sent: its row, and by what the ledger knows the source again."""

    row: SendResult
    fingerprint: str = ""


class NoTask(Enum):
    """Why there is no task for a worker that waited."""

    IDLE = "the time that it would wait is over"
    SCANNED = "sources were looked at that make no task"
    SHORT = "the next source was not looked at, for want of a file descriptor"
    SURPLUS = "fewer associations are enough"
    END = "nothing will be handed out to it any more"


class NotYet(Exception):
    """The sources have nothing to look at right now; `Prefetch.changed` is notified when they have."""


class NoDescriptorYet(NotYet):
    """No file descriptor was free to look at the next one; nobody says when there is."""


class Prefetch:
    """What is ahead of being sent, which the intake and the queue have in common."""

    def __init__(self) -> None:
        # Notified when something has come after a `NotYet`, and upon all else that a worker may wait for.
        self.changed = Condition()
        # In memory, of what is in sight or waits to be tried again.
        self.held_bytes = 0

    def has_room(self, more: int, beside: int = 0) -> bool:
        """Whether so many bytes may be held as well, and those beside; always when nothing else is."""
        held = self.held_bytes + beside
        return not held or held + more <= AHEAD_BYTES

    def wake(self) -> None:
        """Have every waiting worker look again."""
        with self.changed:
            self.changed.notify_all()


FREE = -1  # the owner of a series that no worker has


class Queue:
    """Hands out tasks to `associations` workers, numbered from 0.

    Parameters
    ----------
    items
        What was found, in source order, looked at when asked for; None for what makes neither task nor row.
        May raise `NotYet`, so it is no generator.
    workers
        How many there are, at most.
    prefetch
        The one of the intake.
    max_rate
        Tasks handed out a second, at most, evenly spread.
    is_paused
        Asked before anything is handed out.

    Attributes
    ----------
    workers : int
        How many are at work now.
    is_crowded : bool
        Whether the kinds in sight need more presentation contexts than an association has: then what fits the
        association at hand goes first, rather than opening another for each change of kind.
    """

    def __init__(
        self,
        items: Iterator[Task | Untried | None],
        workers: int,
        prefetch: Prefetch | None = None,
        *,
        max_rate: float | None = None,
        is_paused: Callable[[], bool] = lambda: False,
    ) -> None:
        self._items = items
        self.workers = workers
        self.is_crowded = False
        self.is_stopped = False
        self.prefetch = Prefetch() if prefetch is None else prefetch
        self._changed = self.prefetch.changed
        self._is_paused = is_paused
        self._by_series = workers > 1
        self._pace = 0.0 if max_rate is None else 1 / max_rate
        self._next_turn = 0.0
        self._hold_until = 0.0
        self._untried: deque[Untried] = deque()
        # In sight, by series: the tasks, the worker that owns it, how many of it are under way.
        self._series: dict[str, deque[Task]] = {}
        self._owners: dict[str, int] = {}
        self._busy: Counter[str] = Counter()
        self._owned: Counter[int] = Counter()
        # By owner: index of the first task, and series; not tidy.
        self._heads: dict[int, list[tuple[int, str]]] = {}
        self._waiting: list[Task] = []
        self._size = 0
        self._newest_bytes = 0
        self._under_way = 0
        self._is_exhausted = False
        self._has_scanned = False
        self._is_short = False

    # ------------------------------------------------------------ workers

    def wait(
        self, worker: int, seconds: float | None = None, *, may_open: Callable[[], bool] = lambda: True
    ) -> Task | Untried | NoTask:
        """Wait for what this worker should do next; a task is left where it is.

        It is the end for a worker when nothing is left to be handed out: what others have under way, and may
        have to try again, stays with them. Receivers that serve few associations at a time lose time over
        those that idle. `may_open` is asked when there is a task: a worker without an association waits for
        as long as it may not open one.
        """
        deadline = None if seconds is None else monotonic() + seconds
        with self._changed:
            while True:
                if self._untried:  # before any more is looked at, so that they do not pile up
                    return self._untried.popleft()
                now = monotonic()  # before the look, so that no hold ends unseen between the two
                is_giving = self.is_giving
                task = self._pick(worker, look=True) if is_giving else None
                if self._untried:
                    continue
                if self.is_stopped:
                    return NoTask.END
                if task is not None and may_open():
                    return task
                if self._is_handed_out():
                    return NoTask.END
                if self._is_short:
                    self._is_short = False
                    return NoTask.SHORT
                if self._has_scanned:
                    self._has_scanned = False
                    return NoTask.SCANNED
                if deadline is not None and now >= deadline:
                    return NoTask.IDLE
                due = [deadline] if deadline is not None else []
                if task is None and is_giving:
                    next_tries = [task.not_before for task in self._waiting if _is_for(worker, task)]
                    held_until = max(self._hold_until, self._next_turn)
                    if next_tries or held_until > now:
                        due.append(max(min(next_tries, default=0.0), held_until))
                self._changed.wait(max(min(due) - now, 0.001) if due else None)

    def take(self, worker: int, fits: Callable[[Task], bool]) -> Task | Untried | None:
        """The next task of this worker if it is there and fits the association at hand; never waits."""
        with self._changed:
            if self._untried:
                return self._untried.popleft()
            if self.is_stopped or self._is_paused():
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
            first = self._pick(worker, look=False)
            tasks = chain((first,) if first is not None else (), *self._series.values(), self._waiting)
            return list(dict.fromkeys(task.kind for task in tasks))

    def peek(self, worker: int) -> Task | None:
        """The task that comes next for this worker, left where it is."""
        with self._changed:
            return None if self.is_stopped else self._pick(worker, look=False)

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
            self._add(task, first=True)
            self._changed.notify_all()

    def look_again(self, task: Task, find: Callable[[Task], Untried | None]) -> None:
        """It was taken, and is not what was looked at any more: `find` makes it what it is now.

        Then it comes first again; unless `find` says that it will not be sent.
        """
        with self._changed:
            self._let_go(task)  # while it still is of the series that it was taken from
            if (untried := find(task)) is None:
                self._add(task, first=True)
            else:
                self._untried.append(untried)
            self._changed.notify_all()

    def try_again(self, task: Task, seconds: float) -> None:
        """Try it again after so many seconds."""
        with self._changed:
            self._let_go(task)
            self.prefetch.held_bytes += task.instance.held_bytes
            task.not_before = monotonic() + seconds
            heappush(self._waiting, task)
            self._changed.notify_all()

    def hold(self, seconds: float) -> None:
        """Nobody takes a task for so long: the peer is left alone."""
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

    def stop(self) -> None:
        """Hand out no task any more."""
        with self._changed:
            self.is_stopped = True
            self._changed.notify_all()

    def rest(self, is_enough: Callable[[], bool] = lambda: False) -> Iterator[Task | Untried | None]:
        """What was found and never handed out, and then, until it is enough, what was not looked at yet.

        None now and then.
        """
        with self._changed:
            left = [task for tasks in self._series.values() for task in tasks] + self._waiting
            untried = list(self._untried)
            self._series.clear()
            self._waiting.clear()
            self._untried.clear()
            self.prefetch.held_bytes = 0
        yield from untried
        yield from sorted(left, key=lambda task: task.index)
        while not is_enough():
            item = None
            with self._changed:
                try:
                    item = next(self._items)
                except StopIteration:
                    return
                except NotYet:
                    self._changed.wait(ARRIVAL_SECONDS)
            yield item

    @property
    def is_giving(self) -> bool:
        """Whether it is neither stopped nor paused."""
        return not self.is_stopped and not self._is_paused()

    @property
    def is_over(self) -> bool:
        """Whether no task will be handed out any more."""
        with self._changed:
            return self.is_stopped or (self._is_handed_out() and not self._under_way)

    # ------------------------------------------------------------ under the lock

    def _is_handed_out(self) -> bool:
        return self._is_exhausted and not self._size and not self._waiting

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
        """What this worker should try again. What is tried on an association of its own has one worker."""
        task = self._waiting[0]
        if not _is_for(worker, task):
            others = (task for task in self._waiting if task.not_before <= now and _is_for(worker, task))
            if (task := min(others, default=None)) is None:  # type: ignore[assignment]
                return None
        if task.is_alone:
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
        self.prefetch.held_bytes -= task.instance.held_bytes
        key = self._key(task)
        self._busy[key] += 1
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
        tasks.remove(task)  # the first one, but for a crowded queue
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

    def _add(self, task: Task, *, first: bool) -> None:
        self._size += 1
        self.prefetch.held_bytes += task.instance.held_bytes
        tasks = self._series.setdefault(self._key(task), deque())
        if first:
            tasks.appendleft(task)
        else:
            tasks.append(task)
        if tasks[0] is task:
            self._offer(self._key(task))

    def _look(self, count: int) -> bool:
        """Look at so many more sources; False when there is nothing more for now."""
        if self._is_exhausted:
            return False
        prefetch = self.prefetch
        for _ in range(count):
            # The next one is taken to be as large as the one before.
            if prefetch.held_bytes and not prefetch.has_room(self._newest_bytes):
                return False
            try:
                item = next(self._items)
            except StopIteration:
                self._is_exhausted = True
                self._changed.notify_all()
                return False
            except NotYet as error:
                self._is_short = isinstance(error, NoDescriptorYet)
                return False
            if isinstance(item, Task):
                self._newest_bytes = item.instance.held_bytes
                self._add(item, first=False)
                if self.workers > 1:
                    self._changed.notify_all()
            elif isinstance(item, Untried):
                self._untried.append(item)
            else:
                self._has_scanned = True
        return True


def _is_for(worker: int, task: Task) -> bool:
    return task.claimed_by is None or task.claimed_by == worker
