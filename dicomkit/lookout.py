"""From sources to tasks: numbers what was found, and puts aside what gets a row or a mention instead.

Files are looked at one by one, when the next task is asked for. An iterator of the caller's may take its time, so
a thread of its own pulls from it, a little ahead; there `NotYet` says that nothing has come so far.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition, Thread
from time import monotonic
from typing import TYPE_CHECKING, TypeAlias, cast

from dicomkit.descriptors import NO_DESCRIPTOR
from dicomkit.errors import UnreadableError
from dicomkit.instances import Found, Instance, PassedOver, Unreadable, find_instances
from dicomkit.plan import NotYet, Task
from dicomkit.results import Outcome
from dicomkit.sender import not_a_dicom_message

if TYPE_CHECKING:
    from dicomkit.content import HeaderFacts
    from dicomkit.ledger_resume import Resume
    from dicomkit.results import SendResult
    from dicomkit.sender import RowMaker

_Unsendable: TypeAlias = "tuple[str, Outcome, str, HeaderFacts | None]"
SAME_UID = "its SOP Instance UID came before in this batch; both were sent"
# For so long a source is looked at again that could not be opened for want of a file descriptor.
LONGEST_SHORTAGE_SECONDS = 30.0
# How many sources of an iterator are pulled ahead of their being looked at.
PULL_AHEAD = 1000


class Lookout:
    """An iterator of `Task`, and of None for what makes no task; no generator, since it goes on after a `NotYet`.

    Attributes
    ----------
    rows : deque of SendResult
        For what can never be sent, and (skipped) for what the ledger holds as stored at this peer; whoever asks for
        tasks takes them from here.
    passed_over : list of PassedOver
    found : int
        How many numbers were given.
    is_short : bool
        Whether the last `NotYet` was for want of a file descriptor: then nobody says when to ask again.
    """

    def __init__(
        self,
        sources: object,
        row: RowMaker,
        on_arrival: Callable[[], None],
        resume: Resume | None = None,
    ) -> None:
        self.rows: deque[SendResult] = deque()
        self.passed_over: list[PassedOver] = []
        self.found = 0
        self.is_short = False
        self._row = row
        self._resume = resume
        self._seen: set[int] = set()
        # An open file iterates over lines, which are no sources; `find_instances` has the words for it.
        is_fed = isinstance(sources, Iterator) and not hasattr(type(sources), "read")
        self._feeder = Feeder(cast("Iterator[object]", sources), on_arrival) if is_fed else None
        self._finds = iter(()) if self._feeder is not None else self._find(sources)

    @property
    def is_cut_short(self) -> bool:
        """Whether `close` came before the end of the caller's iterator."""
        return self._feeder is not None and not self._feeder.is_exhausted

    def __iter__(self) -> Lookout:
        return self

    def __next__(self) -> Task | None:
        while True:
            for found in self._finds:
                self.is_short = found is None
                if found is None:
                    raise NotYet
                if isinstance(found, PassedOver):
                    self.passed_over.append(found)
                    return None
                index = self.found
                self.found += 1
                if isinstance(found, Instance):
                    return self._as_task(index, found)
                self.rows.append(self._row.untried(index, *found))
                return None
            if self._feeder is None:
                raise StopIteration
            self._finds = self._find(self._feeder.next())

    def close(self) -> None:
        """Pull nothing more from the caller's iterator."""
        if self._feeder is not None:
            self._feeder.close()

    def _find(self, sources: object) -> Iterator[Instance | PassedOver | _Unsendable | None]:
        """Find what there is; None when nothing can be opened right now."""
        if isinstance(sources, list | tuple):
            for source in sources:
                yield from self._find(source)
        elif _is_other_message(sources):
            yield f"<{type(sources).__name__}>", Outcome.INVALID_MESSAGE, not_a_dicom_message(sources), None
        elif isinstance(sources, BaseException):
            yield _broken_off(sources)
        else:
            try:
                for found in find_at_last(sources):
                    yield (
                        (found.source, Outcome.UNREADABLE, found.detail, found.header)
                        if isinstance(found, Unreadable)
                        else found
                    )
            except TypeError as error:
                yield f"<{type(sources).__name__}>", Outcome.INVALID_MESSAGE, str(error), None
            except UnreadableError as error:
                yield f"<{type(sources).__name__}>", Outcome.UNREADABLE, str(error), None
            except Exception as error:  # noqa: BLE001 - an iterable of the caller's; what it raised becomes a row
                yield _broken_off(error)

    def _as_task(self, index: int, instance: Instance) -> Task | None:
        """To be sent, unless the ledger holds it as stored."""
        if self._resume is None:
            return Task(index, instance, self._note_on(instance.sop_instance_uid))
        past = self._resume.look_up(instance)
        if past.is_held:
            self.rows.append(self._row.unsent(index, 1, instance, Outcome.SKIPPED, past.sentence))
            return None
        notes = (self._note_on(instance.sop_instance_uid), past.sentence)
        return Task(index, instance, "; ".join(filter(None, notes)), past.fingerprint)

    def _note_on(self, sop_instance_uid: str) -> str:
        # Hashes instead of the UIDs themselves: a tenth of the memory, and 64 bits tell a million UIDs apart.
        key = hash(sop_instance_uid)
        if key in self._seen:
            return SAME_UID
        self._seen.add(key)
        return ""


def find_at_last(sources: object) -> Iterator[Found | None]:
    """Find what there is; where no file descriptor is free, None until there is one, or for long enough."""
    for found in find_instances(sources):
        if not _lacks_a_descriptor(found):
            yield found
            continue
        until = monotonic() + LONGEST_SHORTAGE_SECONDS
        while True:
            yield None
            again = find_instances(found.source)
            first = next(again, None)
            if first is None or not _lacks_a_descriptor(first) or monotonic() > until:
                break
        if first is not None:
            yield first
            yield from find_at_last(again)  # a folder, say, has more


def _lacks_a_descriptor(found: Found) -> bool:
    return isinstance(found, Unreadable) and found.detail == NO_DESCRIPTOR


def _is_other_message(source: object) -> bool:
    """Whether it is a message that is no DICOM; without importing `messages`, which whoever has one did."""
    messages = sys.modules.get("dicomkit.messages")
    return (
        messages is not None
        and isinstance(source, messages.Message)
        and not isinstance(source, messages.DicomMessage)
    )


def _broken_off(error: BaseException) -> _Unsendable:
    return (
        "<sources>",
        Outcome.UNREADABLE,
        f"the sources ended with {type(error).__name__}; what they gave before was sent, what they had not given "
        "was not",
        None,
    )


class Feeder:
    """Pulls from an iterator in a thread of its own, so that nobody waits for a slow one but those who must."""

    def __init__(self, sources: Iterator[object], on_arrival: Callable[[], None]) -> None:
        self._sources = sources
        self._on_arrival = on_arrival
        self._ready: deque[object] = deque()
        self._changed = Condition()
        self._is_started = False
        self._is_closed = False
        self.is_exhausted = False

    def next(self) -> object:
        """The next source.

        Raises
        ------
        NotYet
            It has not come so far.
        StopIteration
            There are no more, or it was closed.
        """
        with self._changed:
            if not self._is_started and not self._is_closed:
                self._is_started = True
                # A daemon, because an iterator that never comes back cannot be ended from outside.
                Thread(target=self._pull, daemon=True, name="dicomkit sources").start()
            if self._ready:
                if len(self._ready) == PULL_AHEAD // 2:
                    self._changed.notify_all()
                return self._ready.popleft()
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
                self._add(source)
                if self._is_closed:
                    return
        except BaseException as error:  # noqa: BLE001 - the caller's code; what it raised becomes a row
            self._add(error)
        self.is_exhausted = True
        self._on_arrival()

    def _add(self, source: object) -> None:
        with self._changed:
            self._ready.append(source)
            is_first = len(self._ready) == 1
            while len(self._ready) >= PULL_AHEAD and not self._is_closed:
                self._changed.wait()
        if is_first:
            self._on_arrival()
