"""What a batch panel found in its sources, by series, while it still looks.

Each `Instance` is kept as it was when it was looked at, so that what is sent later is what was seen; one header of each
series is read for who the patient is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from dicomkit.dictionary.uids import uid_name
from dicomkit.errors import UnreadableError
from dicomkit.sources import Instance, PassedOver, Unreadable, find_instances
from dicomkit.tags import one_line, text_at
from dicomkit.widgets.image import header_of

if TYPE_CHECKING:
    from collections.abc import Iterable


Cargo = Instance | Unreadable

UNREADABLE = "unreadable"  # the key of what is no instance and gets a row all the same
_KEYWORDS = (
    *("PatientName", "PatientID", "StudyDate", "StudyDescription"),
    *("SeriesNumber", "SeriesDescription", "SpecificCharacterSet"),
)


@dataclass(frozen=True, slots=True)
class SeriesFound:
    """One series, as far as it was found.

    Attributes
    ----------
    key : str
        Its Series Instance UID, or what stands for it where there is none.
    patient_name, patient_id, study_date, study_description, series_number, series_description : str
        From the first of its instances that was met.
    kind : str
        Name of its SOP class.
    count, size_bytes : int
        How many instances, and bytes of all their data sets.
    """

    key: str
    kind: str
    modality: str = ""
    patient_name: str = ""
    patient_id: str = ""
    study_date: str = ""
    study_description: str = ""
    series_number: str = ""
    series_description: str = ""
    count: int = 0
    size_bytes: int = 0


class _Growing:
    """A series that more instances may join."""

    __slots__ = ("cargo", "head", "size_bytes")

    def __init__(self, head: SeriesFound) -> None:
        self.head = head
        self.cargo: list[tuple[int, Cargo]] = []
        self.size_bytes = 0

    def as_found(self) -> SeriesFound:
        return replace(self.head, count=len(self.cargo), size_bytes=self.size_bytes)


class Scan:
    """Looks at sources in a thread of its own, from when it is made.

    Parameters
    ----------
    sources
        As for `send_batch`.

    Attributes
    ----------
    found, unreadable, size_bytes : int
        What gets a row; of that, what cannot be sent; bytes of data sets.
    passed_over : list of PassedOver
        What is not for sending.
    fault : str
        What ended it before its time, in a sentence; empty when nothing did.

    Raises
    ------
    TypeError
        What was given is no source.
    """

    def __init__(self, sources: object) -> None:
        self.found = self.unreadable = self.size_bytes = 0
        self.passed_over: list[PassedOver] = []
        self.fault = ""
        self._series: dict[str, _Growing] = {}
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
            return [self._series[key].as_found() for key in grown]

    def cargo_of(self, keys: Iterable[str]) -> list[Cargo]:
        """Return what is in these series, in the order in which it was found."""
        with self._lock:
            chosen = [one for key in keys if key in self._series for one in self._series[key].cargo]
        return [one for _, one in sorted(chosen, key=lambda numbered: numbered[0])]

    def count_of(self, keys: Iterable[str]) -> int:
        """Return how many are in these series."""
        with self._lock:
            return sum(len(self._series[key].cargo) for key in keys if key in self._series)

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
        key = key_of(one)
        series = self._series.get(key)
        if series is None:
            series = _Growing(_head(key, one))
        with self._lock:
            self._series[key] = series
            self._grown[key] = None
            series.cargo.append((self.found, one))
            self.found += 1
            if isinstance(one, Instance):
                series.size_bytes += one.length
                self.size_bytes += one.length
            else:
                self.unreadable += 1


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
        header = header_of(one, _KEYWORDS)
    except UnreadableError:  # it is found out, and said, when it is sent
        return SeriesFound(key, kind, modality)
    patient, patient_id, date, study, number, description = (
        one_line(text_at(header, keyword)) for keyword in _KEYWORDS[:-1]
    )
    return SeriesFound(key, kind, modality, patient, patient_id, date, study, number, description)
