"""Rows come out of a pack as they went in, and take little room there."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime

import pytest

from dicomkit.batch._packed_rows import ROWS_PER_PACK, PackedRows
from dicomkit.results import Row


def row(index: int) -> Row:
    """As a `SendResult` makes them, with what differs from one to the next."""
    started_at = datetime(2026, 1, 2, 3, 4, 5, index % 1_000_000, tzinfo=UTC)
    path, uid = f"/archive/2026/study/{index:09d}.dcm", f"1.2.826.0.1.3680043.8.498.2026.1.1.1{index:09d}"
    same = ("1.2.840.10008.5.1.4.1.1.2", "CT Image Storage", "1.2.840.10008.1.2.1", "ANY_SCP", "Müller^Ä")
    return (
        "batch",
        index,
        1,
        "stored",
        0,
        None,
        path,
        uid,
        *same,
        526_000,
        started_at,
        index * 1.1,
        index * 0.9,
    )


@pytest.mark.parametrize(
    "count", [0, 1, ROWS_PER_PACK - 1, ROWS_PER_PACK, ROWS_PER_PACK + 1, 3 * ROWS_PER_PACK]
)
def test_rows_come_out_as_they_went_in(count: int) -> None:
    rows = PackedRows()
    for index in range(count):
        rows.append(row(index))
    assert list(rows) == [row(index) for index in range(count)]
    assert list(rows) == list(rows)
    assert len(rows) == count


def test_twenty_thousand_rows_take_less_than_two_megabytes() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        rows = PackedRows()
        for index in range(20 * ROWS_PER_PACK):
            rows.append(row(index))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(rows) == 20 * ROWS_PER_PACK
    assert taken < 2_000_000
