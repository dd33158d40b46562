"""The table of the series that a batch panel found; it grows while the scan goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from dicomkit.results import Outcome
from dicomkit.widgets.batch._scan import Scan, SeriesFound
from dicomkit.widgets.batch._tables import series_rows
from dicomkit.widgets.table import Rows


class SeriesTable:
    """What a scan found, by series; `take_found` is for one thread at a time.

    Parameters
    ----------
    scan : Scan
        Where the series come from.
    outcomes_of : callable
        What became of the instances of a series so far, by its key.
    on_checked : callable
        Called with the keys that are checked, in the order in which they were found, whenever that changes; by the
        table, which holds its lock then.
    on_cursor : callable
        Called in the same way with the key of the series that has the cursor, or None.
    unchecked : frozenset of str
        The keys that are not to be checked when they are found.

    Attributes
    ----------
    table : Rows
    found : tuple of SeriesFound
        What was taken over from the scan.
    keys : list of str
        Their keys.
    is_complete : bool
        Whether that is all there will be.
    unchecked : frozenset of str
        The keys that are not checked, or were not in an earlier table and have not been found in this one.
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
        self.found: tuple[SeriesFound, ...] = ()
        self.keys: list[str] = []
        self.is_complete = False
        self.unchecked = unchecked
        self._place_of: dict[str, int] = {}
        self._on_checked, self._on_cursor = on_checked, on_cursor
        self._rows = series_rows(outcomes_of)
        self.table = Rows(self._rows, label="What will be sent", height_px=240, can_check=True)
        self.table.observe(self._hear_checked, "checked")
        self.table.observe(self._hear_cursor, "active")

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

    def _hear_cursor(self, change: Any) -> None:
        self._on_cursor(None if change.new is None else self.keys[change.new])
