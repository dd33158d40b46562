"""The table of the series that a batch panel found; it grows while the scan goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from dicomkit._support.quantities import in_bytes
from dicomkit.results import Outcome, tone_of
from dicomkit.widgets.batch._results import TONES, counts_in_words
from dicomkit.widgets.batch._scan import Scan, SeriesFound
from dicomkit.widgets.table import Cell, Column, RecordSource, Rows

_COLUMNS = (
    Column("patient_name", "Patient", 105, stretch=2, meaning="Patient's Name (0010,0010), and ID"),
    Column("study_description", "Study", 105, stretch=2, meaning="Study Description (0008,1030), and date"),
    Column("series_description", "Series", 120, stretch=2, meaning="Series Description, and number"),
    Column("modality", "Modality", 82),
    Column("count", "Instances", 90, align="right"),
    Column("size_bytes", "Size", 70, align="right"),
    Column("became", "Outcome", 185, stretch=1, is_sortable=False),
)


class SeriesTable:
    """What a scan found, by series; `take_found` is for one thread at a time.

    What is new is checked, unless its series was unchecked before, if only in the table before this one
    (`unchecked`). `on_checked` gets the keys that are checked, in the order in which they were found, and
    `on_cursor` the key of the series with the cursor, or None; the table calls both, and holds its lock then.
    """

    def __init__(
        self,
        scan: Scan,
        outcomes_of: Callable[[str], Counter[Outcome]],
        *,
        on_checked: Callable[[tuple[str, ...]], None],
        on_cursor: Callable[[str | None], None],
        unchecked: frozenset[str] = frozenset(),
    ) -> None:
        self.scan = scan
        self.found: tuple[SeriesFound, ...] = ()  # what was taken over from the scan
        self.keys: list[str] = []  # their keys
        self.is_complete = False  # whether that is all there will be
        self.unchecked = unchecked
        self._place_of: dict[str, int] = {}
        self._on_checked = on_checked
        self._rows = _rows(outcomes_of)
        self.table = Rows(self._rows, label="What will be sent", height_px=240, can_check=True)
        self.table.observe(self._hear_checked, "checked")
        self.table.observe(
            lambda change: on_cursor(None if change.new is None else self.keys[change.new]), "active"
        )

    def __contains__(self, key: object) -> bool:
        return key in self._place_of

    def take_found(self) -> None:
        """Put what the scan found since into the table."""
        is_over = self.scan.is_over  # asked before, so that nothing comes after
        grown = self.scan.take_grown()
        if grown:
            # Or a box that is checked at this moment would know nothing of the new ones.
            with self.table.lock:
                for series in grown:
                    self._put(series)
                self.table.checked = [self._place_of[key] for key in self.keys if key not in self.unchecked]
            self.table.changed()
            self.found = self._rows.records
        self.is_complete = is_over

    def _put(self, series: SeriesFound) -> None:
        if series.key in self._place_of:
            self._rows.replace(self._place_of[series.key], series)
        else:
            self._place_of[series.key] = self._rows.append(series)
            self.keys.append(series.key)

    def check(self, keys: Iterable[str]) -> None:
        """Check these of what was found, and no others."""
        wanted = set(keys)
        with self.table.lock:
            self._keep_unchecked(wanted)
            self.table.checked = [self._place_of[key] for key in wanted]

    def close(self) -> None:
        """Free the table."""
        self.table.close()

    def _keep_unchecked(self, checked: set[str]) -> None:
        self.unchecked = self.unchecked.difference(self.keys).union(set(self.keys) - checked)

    def _hear_checked(self, change: Any) -> None:
        checked = tuple(key for place, key in enumerate(self.keys) if place in change.new)
        self._keep_unchecked(set(checked))
        self._on_checked(checked)


def _rows(outcomes_of: Callable[[str], Counter[Outcome]]) -> RecordSource[SeriesFound]:
    def value(series: SeriesFound, name: str) -> object:
        """Return what is shown and sorted by; of some columns with a note beside it."""
        match name:
            case "patient_name":
                return series.patient_name, series.patient_id
            case "study_description":
                return series.study_description, _day(series.study_date)
            case "series_description":
                number = series.series_number
                return series.series_description or series.kind, number and f"#{number}"
            case "became":
                return series
        return getattr(series, name)

    def became(series: SeriesFound) -> str | Cell:
        outcomes = outcomes_of(series.key)
        if not outcomes:
            return ""
        worst = min((tone_of(one) for one in outcomes), key=[*TONES].index)
        return Cell(counts_in_words(outcomes, of=series.count), TONES[worst])

    return RecordSource(
        _COLUMNS,
        value=value,
        show={
            "patient_name": lambda pair: Cell(pair[0] or "no name", "", pair[1]),
            "study_description": lambda pair: Cell(pair[0] or pair[1], "", pair[1] if pair[0] else ""),
            "series_description": lambda pair: Cell(pair[0], "", pair[1]),
            "size_bytes": lambda size: in_bytes(size) if size else "",
            "became": became,
        },
        noun=("series", "series"),
    )


def _day(date: str) -> str:
    """A DA value (PS3.5 6.2) with its parts apart, or as it is when it is none."""
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 and date.isdecimal() else date
