"""From sources to tasks: numbers what was found, and makes the rows of what will not be sent.

Files are looked at one by one, when the queue asks for the next task. An iterator of the caller's may take
its time, so a thread of its own pulls from it, a little ahead; there `NotYet` says that nothing has come so
far.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition, Thread
from time import monotonic
from typing import TYPE_CHECKING, cast

from dicomkit._support.descriptors import NO_DESCRIPTOR
from dicomkit.batch._queue import NoDescriptorYet, NotYet, Prefetch, Task, Untried
from dicomkit.errors import UnreadableError
from dicomkit.results import Outcome
from dicomkit.sending import KEEPS_CHANGING, MOST_LOOKS, not_a_dicom_message
from dicomkit.sources import (
    IN_MEMORY,
    Broken,
    Found,
    Instance,
    NotDicomMessage,
    PassedOver,
    Unreadable,
    ended_with,
    find_all,
    find_instances,
    holds_itself,
    is_dataset,
)

if TYPE_CHECKING:
    from dicomkit.ledger import Resume
    from dicomkit.messages import DicomMessage
    from dicomkit.sending import RowMaker
    from dicomkit.sources import HeaderFacts

SAME_UID = "its SOP Instance UID came before in this batch; both were sent"
# For so long a source is looked at again that could not be opened for want of a file descriptor.
LONGEST_SHORTAGE_SECONDS = 30.0
# How many sources of an iterator are pulled ahead of their being looked at; fewer, where they take much
# memory.
PULL_AHEAD = 1000
# After so many that hold nothing at all it is somebody else's turn.
SOURCES_WITHOUT_FIND = 100


class Intake:
    """An iterator of what was found, for the queue; no generator, since it goes on after a `NotYet`."""

    def __init__(
        self, sources: object, row: RowMaker, prefetch: Prefetch, resume: Resume | None = None
    ) -> None:
        self.passed_over: list[PassedOver] = []
        self.found = 0  # how many numbers were given
        self._row = row
        self._resume = resume
        self._seen: set[int] = set()
        # Where a source is, or is in, another one: the innermost is the last.
        self._finds: list[Iterator[Found | Broken | None]] = []
        self._short_until = 0.0
        self._feeder = None
        if _is_fed(sources):
            self._feeder = Feeder(cast("Iterator[object]", sources), prefetch)
        else:
            self._finds.append(find_all(sources))

    @property
    def is_cut_short(self) -> bool:
        """Whether `close` came before the end of the caller's iterator."""
        return self._feeder is not None and not self._feeder.is_exhausted

    def __iter__(self) -> Intake:
        return self

    def __next__(self) -> Task | Untried | None:
        for _ in range(SOURCES_WITHOUT_FIND):
            while self._finds:
                for found in self._finds[-1]:
                    if found is None:
                        return None
                    if isinstance(found, Instance):
                        return self._as_task(self._numbered(), found)
                    if isinstance(found, PassedOver):
                        self.passed_over.append(found)
                        return None
                    self._wait_for_a_descriptor(found)
                    return Untried(self._row.untried(self._numbered(), *_facts(found)))
                self._finds.pop()
            if self._feeder is None:
                raise StopIteration
            source = self._feeder.next()
            # By its type, since what else there is may be anything. A `Broken` is how the iterator itself
            # ended.
            if type(source) is Broken:
                self._finds.append(iter((source,)))
            else:
                self._finds.append(find_all(source, are_all=False))
        return None

    def _wait_for_a_descriptor(self, found: Unreadable | Broken) -> None:
        """Have a source looked at again that no file descriptor was free for; not for ever."""
        if not (isinstance(found, Unreadable) and found.detail == NO_DESCRIPTOR):
            return
        now = monotonic()
        self._short_until = self._short_until or now + LONGEST_SHORTAGE_SECONDS
        if now <= self._short_until:
            self._finds.append(find_all(found.source, are_all=False))
            raise NoDescriptorYet

    def look_again(self, task: Task) -> Untried | None:
        """Take a task for what its source is now; its row when that cannot be sent any more."""
        from dicomkit.sources.second_look import look_again

        before, task.looks = task.instance, task.looks + 1
        try:
            if task.looks > MOST_LOOKS:
                raise UnreadableError(KEEPS_CHANGING)
            task.instance = look_again(before)
        except UnreadableError as error:
            return Untried(
                self._row.unsent(task.index, task.attempt_number, before, Outcome.UNREADABLE, str(error))
            )
        note = SAME_UID if task.note.startswith(SAME_UID) else ""
        if task.instance.sop_instance_uid != before.sop_instance_uid:
            if not note:
                self._seen.discard(hash(before.sop_instance_uid))
            note = self._note_on(task.instance.sop_instance_uid)
        return self._if_held(task, note)

    def close(self) -> None:
        """Pull nothing more from the caller's iterator."""
        if self._feeder is not None:
            self._feeder.close()

    def _numbered(self) -> int:
        self._short_until = 0.0
        self.found += 1
        return self.found - 1

    def _as_task(self, index: int, instance: Instance) -> Task | Untried:
        """To be sent, unless the ledger holds it as stored."""
        task = Task(index, instance)
        return self._if_held(task, self._note_on(instance.sop_instance_uid)) or task

    def _if_held(self, task: Task, note: str) -> Untried | None:
        """Its row if the ledger holds it as stored; else the task gets what the ledger knows of it."""
        if self._resume is None:
            task.note = note
            return None
        past = self._resume.look_up(task.instance)
        if past.is_held:
            row = self._row.unsent(
                task.index, task.attempt_number, task.instance, Outcome.SKIPPED, past.sentence
            )
            return Untried(row, past.fingerprint)
        task.note = "; ".join(filter(None, (note, past.sentence)))
        task.fingerprint = past.fingerprint
        return None

    def _note_on(self, sop_instance_uid: str) -> str:
        # Hashes instead of the UIDs themselves: a tenth of the memory, and 64 bits tell a million UIDs apart.
        key = hash(sop_instance_uid)
        if key in self._seen:
            return SAME_UID
        self._seen.add(key)
        return ""


def _is_fed(sources: object) -> bool:
    """Whether it is an iterator, which may take its time and come to an end only once."""
    try:
        # An open file iterates over lines, which are no sources; `find_all` has the words for it.
        return isinstance(sources, Iterator) and not hasattr(type(sources), "read")
    except BaseException:  # noqa: BLE001 - the caller's code; `find_all` asks again, and says what it raised
        return False


def _facts(found: Unreadable | Broken) -> tuple[str, Outcome, str, HeaderFacts | None]:
    """Source, outcome, detail and header of what is no instance."""
    if isinstance(found, NotDicomMessage):
        message = found.message
        return f"<{type(message).__name__}>", Outcome.INVALID_MESSAGE, not_a_dicom_message(message), None
    if isinstance(found, Broken):
        outcome = Outcome.INVALID_MESSAGE if found.is_strange else Outcome.UNREADABLE
        return found.source, outcome, found.detail, None
    return found.source, Outcome.UNREADABLE, found.detail, found.header


class Feeder:
    """Pulls from an iterator in a thread of its own, so that nobody waits for a slow one but those who must.

    What it gives is kept as it is when it comes, since a generator may use its Dataset or buffer again. It is
    pulled from for as long as `Prefetch` has room for what it gave and is not sent so far.
    """

    def __init__(self, sources: Iterator[object], prefetch: Prefetch) -> None:
        self._sources = sources
        self._prefetch = prefetch
        self._ready: deque[tuple[object, int]] = deque()
        self._ready_bytes = 0
        self._given_bytes = 0
        self._newest_bytes = 0
        self._changed = Condition()
        self._is_waiting = False
        self._is_started = False
        self._is_closed = False
        self.is_exhausted = False

    def next(self) -> object:
        """The next source. Raises NotYet when it has not come so far, StopIteration at the end."""
        with self._changed:
            if not self._is_started and not self._is_closed:
                self._is_started = True
                # A daemon, because an iterator that never comes back cannot be ended from outside.
                Thread(target=self._pull, daemon=True, name="dicomkit sources").start()
            # The last one is looked at to its end by now, and what was found in it is held elsewhere, or
            # sent.
            self._given_bytes = 0
            source: object = None
            is_there = bool(self._ready)
            if is_there:
                source, self._given_bytes = self._ready.popleft()
                self._ready_bytes -= self._given_bytes
            if self._is_waiting and len(self._ready) <= PULL_AHEAD // 2 and self._has_room():
                self._changed.notify_all()
            if is_there:
                return source
            if self.is_exhausted or self._is_closed:
                raise StopIteration
            raise NotYet

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _pull(self) -> None:
        try:
            for source in self._sources:
                # Only this thread may ask it for more.
                self._add(*_as_it_is_now(holds_itself(source) if source is self._sources else source))
                del source  # or it would be held while the next one is waited for
                if self._is_closed:
                    return
        except BaseException as error:  # noqa: BLE001 - the caller's code; what it raised becomes a row
            self._add(ended_with(error), 0)
        self.is_exhausted = True
        self._prefetch.wake()

    def _add(self, source: object, size: int) -> None:
        with self._changed:
            self._ready.append((source, size))
            self._ready_bytes += size
            self._newest_bytes = size
            is_first = len(self._ready) == 1
        del source
        if is_first:
            self._prefetch.wake()
        with self._changed:
            self._is_waiting = True
            while not self._has_room() and not self._is_closed:
                self._changed.wait()
            self._is_waiting = False

    def _has_room(self) -> bool:
        """Whether another one may be pulled, which is taken to be as large as the one before."""
        beside = self._ready_bytes + self._given_bytes
        return len(self._ready) < PULL_AHEAD and self._prefetch.has_room(self._newest_bytes, beside)


def _as_it_is_now(source: object) -> tuple[object, int]:
    """What a source is that may be used again for the next one, and how many bytes of memory it takes."""
    try:
        if type(source) in (list, tuple):
            kept = [_kept(one) for one in cast("list[object]", source)]
            return kept, sum(map(_size, kept))
        one = _kept(source)
        return one, _size(one)
    except BaseException:  # noqa: BLE001 - the caller's code; `find_all` asks again, and says what it raised
        return source, 0


def _kept(source: object) -> object:
    if isinstance(source, (bytearray, memoryview)):
        return bytes(source)
    is_held = hasattr(type(source), "instance") and cast("DicomMessage", source).source in IN_MEMORY
    return next(find_instances(source)) if is_held or is_dataset(source) else source


def _size(source: object) -> int:
    if isinstance(source, bytes):
        return len(source)
    return source.held_bytes if isinstance(source, Instance) else 0
