"""What a batch panel found in its sources, by series, while it still looks.

Each `Instance` is kept as it was when it was looked at, so that what is sent later is what was seen; one header of each
series is read for who the patient is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from dicomkit.dictionary.uids import uid_name
from dicomkit.errors import UnreadableError
from dicomkit.sources import Instance, PassedOver, Unreadable, find_instances
from dicomkit.tags import one_line, text_at
from dicomkit.widgets.image import header_of

if TYPE_CHECKING:
    from collections.abc import Iterable


Cargo = Instance | Unreadable

UNREADABLE = "unreadable"  # the key of what is no instance and gets a row all the same
_KEYWORDS = {
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "study_date": "StudyDate",
    "study_description": "StudyDescription",
    "series_number": "SeriesNumber",
    "series_description": "SeriesDescription",
}


@dataclass(frozen=True, slots=True)
class SeriesFound:
    """One series, as far as it was found; who and what is from the first of its instances that was met."""

    key: str  # its Series Instance UID, or what stands for it where there is none
    kind: str  # name of its SOP class
    modality: str = ""
    patient_name: str = ""
    patient_id: str = ""
    study_date: str = ""
    study_description: str = ""
    series_number: str = ""
    series_description: str = ""
    count: int = 0
    size_bytes: int = 0  # of all data sets


class Scan:
    """Looks at sources, as for `send_batch`, in a thread of its own; raises a TypeError for what is none."""

    def __init__(self, sources: object) -> None:
        self.found = self.unreadable = 0  # what gets a row; of that, what cannot be sent
        self.size_bytes = 0  # of data sets
        self.passed_over: list[PassedOver] = []
        self.fault = ""  # what ended it before its time, in a sentence
        self._series: dict[str, SeriesFound] = {}
        self._cargo: dict[str, list[tuple[int, Cargo]]] = {}  # by series, with the place in what was found
        self._grown: dict[str, None] = {}
        self._lock = Lock()
        self._is_stopped = self._is_complete = False
        self._ended = Event()
        self._thread = Thread(
            target=self._look, args=(find_instances(sources),), name="dicomkit scan", daemon=True
        )
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self._ended.is_set()

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped before it had seen everything."""
        return self._is_stopped and not self._is_complete

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Return whether it was over in time."""
        return self._ended.wait(timeout_seconds)

    def stop(self) -> None:
        """Look at nothing more."""
        self._is_stopped = True

    def take_grown(self) -> list[SeriesFound]:
        """Return the series that are new or have grown since this was last called, as they are now."""
        with self._lock:
            grown, self._grown = self._grown, {}
            return [self._series[key] for key in grown]

    def cargo_of(self, keys: Iterable[str]) -> list[Cargo]:
        """Return what is in these series, in the order in which it was found."""
        with self._lock:
            chosen = [numbered for key in keys for numbered in self._cargo.get(key, ())]
        return [one for _, one in sorted(chosen, key=lambda numbered: numbered[0])]

    def count_of(self, keys: Iterable[str]) -> int:
        """Return how many are in these series."""
        with self._lock:
            return sum(len(self._cargo.get(key, ())) for key in keys)

    def _look(self, found: Iterable[Instance | Unreadable | PassedOver]) -> None:
        try:
            for one in found:
                if self._is_stopped:
                    break
                if isinstance(one, PassedOver):
                    self.passed_over.append(one)
                else:
                    self._add(one)
            else:
                self._is_complete = True
        except Exception as error:  # noqa: BLE001 - the sources may be the caller's own code
            self.fault = f"looking at the sources ended with {type(error).__name__}: {error}"
        finally:
            self._ended.set()

    def _add(self, one: Cargo) -> None:
        key, size_bytes = key_of(one), one.length if isinstance(one, Instance) else 0
        series = self._series.get(key) or _head(key, one)
        with self._lock:
            self._series[key] = replace(
                series, count=series.count + 1, size_bytes=series.size_bytes + size_bytes
            )
            self._cargo.setdefault(key, []).append((self.found, one))
            self._grown[key] = None
            self.found += 1
            self.size_bytes += size_bytes
            self.unreadable += isinstance(one, Unreadable)


def key_of(one: Cargo) -> str:
    """Return the key of the series that something belongs to."""
    if isinstance(one, Unreadable):
        return UNREADABLE
    return one.series_instance_uid or f"no series, {one.modality or one.sop_class_uid}"


def _head(key: str, one: Cargo) -> SeriesFound:
    if isinstance(one, Unreadable):
        return SeriesFound(key, "cannot be read")
    kind, modality = uid_name(one.sop_class_uid).removesuffix(" Storage"), one.modality or ""
    try:
        header = header_of(one, (*_KEYWORDS.values(), "SpecificCharacterSet"))
    except UnreadableError:  # it is found out, and said, when it is sent
        return SeriesFound(key, kind, modality)
    said: dict[str, Any] = {name: one_line(text_at(header, keyword)) for name, keyword in _KEYWORDS.items()}
    return SeriesFound(key, kind, modality, **said)
