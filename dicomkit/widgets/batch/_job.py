"""A batch of a panel while it is sent: it belongs to the kernel, and panels come and go.

What the batch's threads say is put where it belongs under a lock, a row of a table or a count; panels look at it.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from dicomkit.batch import Batch, BatchControl, send_batch
from dicomkit.errors import UnreadableError
from dicomkit.events import AssociationClosed, AssociationOpened, RowAdded, Sending, Waiting
from dicomkit.events import Event as Told
from dicomkit.results import Outcome, SendResult
from dicomkit.sources import Instance, look_at
from dicomkit.widgets.batch._scan import Cargo, Scan, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicomkit.settings import DicomSenderSetting
    from dicomkit.widgets.table import RecordSource

_PACE_SECONDS = 10.0  # what the rate is taken over


@dataclass(frozen=True, slots=True)
class Tried:
    """One instance in the table of results: what became of it last, and what before that.

    Attributes
    ----------
    earlier : tuple of SendResult
        Earlier attempts, those of an earlier batch that is tried again included.
    is_final : bool
        Whether this batch will not try it again.
    """

    number: int
    result: SendResult
    earlier: tuple[SendResult, ...] = ()
    is_final: bool = True


class Pace:
    """How many instances a second were done with lately; for one thread at a time."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def rate(self, done: int, now: float) -> float:
        """Instances a second over the last seconds that this was asked, 0 when that cannot be said yet."""
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] < now - _PACE_SECONDS:
            self._seen.popleft()
        then, before = self._seen[0]
        return (done - before) / (now - then) if now > then else 0.0


class Origin:
    """A setting and sources; equal to another with an equal setting and the same sources.

    Sources are the same by name where they are paths, else as objects. The Id of a setting does not count: a cell that
    makes one makes another Id each time it runs.
    """

    def __init__(self, setting: DicomSenderSetting, sources: object) -> None:
        self.setting = setting
        self.sources = tuple(sources) if isinstance(sources, list) else sources  # a list may change
        self._folder = Path.cwd()  # what the paths were relative to when they were given

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Origin):
            return NotImplemented
        return self._has_sources_of(other) and self.setting.replace(id=other.setting.id) == other.setting

    __hash__ = None  # type: ignore[assignment]  # equal ones could not have equal hashes cheaply

    def _has_sources_of(self, other: Origin) -> bool:
        """Ends at the first difference, since there may be 100,000 paths."""
        these, those = _several(self.sources), _several(other.sources)
        if len(these) != len(those):
            return False
        is_same_folder = self._folder == other._folder
        return all(
            (is_same_folder and one is two) or self._path(one) == other._path(two)
            for one, two in zip(these, those, strict=True)
        )

    def _path(self, source: object) -> object:
        """The whole path of what is one; anything else is equal to itself alone."""
        if isinstance(source, (str, os.PathLike)):
            return os.path.normpath(self._folder / os.fsdecode(source))
        return id(source)


def _several(sources: object) -> Sequence[object]:
    return sources if isinstance(sources, tuple) else [sources]


class Job:
    """One batch under way, or done.

    Parameters
    ----------
    setting : DicomSenderSetting
        Where to.
    cargo : sequence of Instance or Unreadable
        What is sent, in this order.
    scan : Scan
        Where that was found.
    rows : RecordSource of Tried
        Where its rows go.
    options : mapping
        The keywords of `send_batch`.
    origin : Origin
        What another panel is compared with.
    places : sequence of int, or None
        For each of the cargo the row that it has already, from `before`, when it is tried again: then files are looked
        at again first. None adds rows.
    before : Job or None
        The batch that had those rows.
    is_cancelled : bool
        Whether it was cancelled before it began: then all there is of it are its rows.

    Attributes
    ----------
    batch : Batch or None
        When it is over, and came about.
    error : Exception or None
        What `send_batch` raised instead.
    waiting : str
        Why nothing is sent for the moment; empty when something is.
    open_associations : int
    is_again : bool
        Whether it tries again what another batch did not store.
    revision : int
        Grows with everything that is told.
    began_at, ended_at : datetime
        The end is None until it is over.
    """

    def __init__(
        self,
        setting: DicomSenderSetting,
        cargo: Sequence[Cargo],
        scan: Scan,
        rows: RecordSource[Tried],
        options: Mapping[str, Any],
        *,
        origin: Origin,
        places: Sequence[int] | None = None,
        before: Job | None = None,
        is_cancelled: bool = False,
    ) -> None:
        self.setting = setting
        self.cargo = cargo
        self.scan = scan
        self.rows = rows
        self.origin = origin
        self.batch: Batch | None = None
        self.error: Exception | None = None
        self.waiting = ""
        self.open_associations = 0
        self.revision = 0
        self.done = 0
        self.began_at = datetime.now()
        self.ended_at: datetime | None = None
        self.options = options
        self.is_again = places is not None
        self._place_of = dict(enumerate(places or ()))
        self._by_series = {} if before is None else {key: before.of_series(key) for key in before.series()}
        self._series_of = [
            key_of(one) for one in cargo
        ]  # where they were found, whatever they turn out to be
        for key, place in zip(self._series_of, places or (), strict=self.is_again):
            self._by_series[key][rows.record(place).result.outcome] -= 1
        self._control = BatchControl()
        if is_cancelled:
            self._control.cancel()
        self._lock = Lock()
        self._over = Event()
        self._thread = Thread(target=self._send, name="dicomkit panel", daemon=True)
        with _REGISTRY_LOCK:
            _REGISTRY.append(self)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._over.is_set()

    @property
    def is_paused(self) -> bool:
        """Whether it takes up no further instance until `resume`."""
        return self._control.is_paused and not self.is_over

    @property
    def cancels(self) -> int:
        """How often it was cancelled: once is after the instances under way, twice at once."""
        return self._control.cancels

    def pause(self) -> None:
        """Take up no further instance until `resume`."""
        self._control.pause()
        self._told()

    def resume(self) -> None:
        """Go on after a `pause`."""
        self._control.resume()
        self._told()

    def cancel(self) -> None:
        """End it after the instances under way; the second time at once."""
        self._control.cancel()
        self._told()

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Return whether it was over in time."""
        return self._over.wait(timeout_seconds)

    def of_series(self, key: str) -> Counter[Outcome]:
        """Return how many of a series ended in which outcome, so far."""
        with self._lock:
            return +Counter(self._by_series.get(key, ()))  # what is tried again counts no more

    def series(self) -> Iterable[str]:
        """The keys of the series that have rows."""
        with self._lock:
            return tuple(self._by_series)

    def cargo_at(self, places: Iterable[int]) -> list[Cargo]:
        """Return what these rows are about."""
        number_at = {place: number for number, place in self._place_of.items()}
        return [self.cargo[number_at[place]] for place in places]

    @property
    def outcomes(self) -> Counter[Outcome]:
        """How many instances ended in which outcome, so far, those not tried again included."""
        return sum((self.of_series(key) for key in self.series()), Counter())

    def _send(self) -> None:
        try:
            if self.is_again:
                self.cargo = [_looked_at_again(one) for one in self.cargo]
            self.batch = send_batch(
                self.setting, self.cargo, **self.options, control=self._control, on_event=self._hear
            )
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits
            self.error = error
        finally:
            self.ended_at = datetime.now()
            self.waiting = ""
            with _REGISTRY_LOCK:
                _REGISTRY.remove(self)
            self._over.set()
            self._told()

    def _told(self) -> None:
        with self._lock:
            self.revision += 1

    def _hear(self, event: Told) -> None:
        if isinstance(event, RowAdded):
            self._add(event.result, event.is_final)
        elif isinstance(event, Waiting):
            self.waiting = event.reason
        elif isinstance(event, Sending):
            self.waiting = ""
            return  # the row that follows is what is shown
        elif isinstance(event, AssociationOpened):
            self.open_associations += 1
        elif isinstance(event, AssociationClosed):
            self.open_associations = max(0, self.open_associations - 1)
        self._told()

    def _add(self, result: SendResult, is_final: bool) -> None:
        number = result.instance
        place = self._place_of.get(number)
        if place is None:
            self._place_of[number] = self.rows.append(Tried(self.rows.total, result, (), is_final))
        else:
            before = self.rows.record(place)
            self.rows.replace(place, Tried(before.number, result, (*before.earlier, before.result), is_final))
        if is_final:
            key = self._series_of[number]
            with self._lock:
                self.done += 1
                self._by_series.setdefault(key, Counter())[result.outcome] += 1


def _looked_at_again(one: Cargo) -> Cargo:
    """A file may have been put right, or changed, since."""
    if isinstance(one, Instance) and not isinstance(one.content, str):
        return one
    try:
        return look_at(one.source)
    except UnreadableError:
        return one


_REGISTRY: list[Job] = []
_REGISTRY_LOCK = Lock()


def running_jobs() -> list[Job]:
    """The batches of panels that still run in this kernel, the newest first."""
    with _REGISTRY_LOCK:
        return _REGISTRY[::-1]
