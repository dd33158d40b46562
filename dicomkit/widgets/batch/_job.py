"""A batch of a panel while it is sent: it belongs to the kernel, and panels come and go.

What the batch's threads say is put where it belongs under a lock, a row of a table or a count; panels look at it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from dicomkit.batch import Batch, BatchControl, send_batch
from dicomkit.errors import UnreadableError
from dicomkit.events import Event as BatchEvent
from dicomkit.events import RowAdded, Sending, Waiting
from dicomkit.sources import Instance, look_at

if TYPE_CHECKING:
    from dicomkit.settings import DicomSenderSetting
    from dicomkit.widgets.batch._results import BatchResults
    from dicomkit.widgets.batch._scan import Cargo, Scan

_PACE_SECONDS = 10.0  # what the rate is taken over


class Pace:
    """How many instances a second the peer responded to lately; for one thread at a time."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def rate(self, answered: int, now: float) -> float:
        """Instances a second over the last seconds that this was asked, 0 when that cannot be said yet."""
        self._seen.append((now, answered))
        while len(self._seen) > 2 and self._seen[1][0] < now - _PACE_SECONDS:
            self._seen.popleft()
        then, before = self._seen[0]
        return (answered - before) / (now - then) if now > then else 0.0


class Origin:
    """A setting (whose Id does not count) and sources; equal to another with the same: by path, else as
    objects.
    """

    def __init__(self, setting: DicomSenderSetting, sources: object) -> None:
        self.setting = setting
        self.sources = tuple(sources) if isinstance(sources, list) else sources  # a list may change
        self._folder = Path.cwd()  # what the paths were relative to when they were given

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Origin):
            return NotImplemented
        these, those = _several(self.sources), _several(other.sources)
        is_same_folder = self._folder == other._folder
        # Ends at the first difference, since there may be 100,000 paths.
        return (
            len(these) == len(those)
            and all(
                (is_same_folder and one is two) or self._path(one) == other._path(two)
                for one, two in zip(these, those, strict=True)
            )
            and self.setting.replace(id=other.setting.id) == other.setting
        )

    __hash__ = None  # type: ignore[assignment]  # equal ones could not have equal hashes cheaply

    def _path(self, source: object) -> object:
        """The whole path of what is one; anything else is equal to itself alone."""
        if isinstance(source, (str, os.PathLike)):
            return os.path.normpath(self._folder / os.fsdecode(source))
        return id(source)


def _several(sources: object) -> Sequence[object]:
    return sources if isinstance(sources, tuple) else [sources]


class Job:
    """One batch under way, or done: it sends `cargo`, which `scan` found, and puts its rows into `rows`.

    With `places`, the rows that the cargo has already, it is tried again, and files are looked at again
    first. One that is cancelled before it begins is made all the same, for its rows.
    """

    def __init__(
        self,
        origin: Origin,
        scan: Scan,
        cargo: Sequence[Cargo],
        rows: BatchResults,
        options: Mapping[str, Any],
        *,
        places: Sequence[int] | None = None,
        is_cancelled: bool = False,
    ) -> None:
        self.origin = origin
        self.setting = origin.setting
        self.scan = scan
        self.cargo = cargo
        self.rows = rows
        self.options = options
        self.batch: Batch | None = None  # when it is over, and came about
        self.error: Exception | None = None  # what `send_batch` raised instead
        self.waiting = ""  # why nothing is sent for the moment, and what one can do
        self.waiting_until = 0.0  # on the clock of `time.monotonic`
        self.revision = 0  # grows with every row
        self.done = 0
        self.answered = 0  # of these, those that the peer responded to
        self.began_at = datetime.now()
        self.ended_at: datetime | None = None
        self.is_again = places is not None
        self._place_of = dict(enumerate(places or ()))  # of each instance that has a row
        self.control = BatchControl()
        if is_cancelled:
            self.control.cancel()
        self._over = Event()
        with _REGISTRY_LOCK:
            _REGISTRY.append(self)
        Thread(target=self._send, name="dicomkit panel", daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._over.is_set()

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Return whether it was over in time."""
        return self._over.wait(timeout_seconds)

    def _send(self) -> None:
        try:
            if self.is_again:
                self.cargo = [_looked_at_again(one) for one in self.cargo]
            self.batch = send_batch(
                self.setting, self.cargo, **self.options, control=self.control, on_event=self._hear
            )
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits
            self.error = error
        finally:
            self.ended_at = datetime.now()
            self.waiting = ""
            with _REGISTRY_LOCK:
                _REGISTRY.remove(self)
            self._over.set()

    def _hear(self, event: BatchEvent) -> None:
        """Called with one event at a time."""
        if isinstance(event, RowAdded):
            number, result = event.result.instance, event.result
            if number in self._place_of:
                self.rows.add_attempt(self._place_of[number], result, is_final=event.is_final)
            else:
                self._place_of[number] = self.rows.add(self.cargo[number], result, is_final=event.is_final)
            self.done += event.is_final
            self.answered += event.is_final and result.status is not None
            self.revision += 1
        elif isinstance(event, Waiting):
            self.waiting_until = monotonic() + event.seconds
            self.waiting = "; ".join(filter(None, (event.reason, event.advice)))
        elif isinstance(event, Sending):
            self.waiting = ""


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
