"""The short form of `tests.soak`: the books balance after some hundred instances, too."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from tests.soak import final, retriable, soak, swift

COUNT = 150


@pytest.mark.parametrize("associations", [1, 4])
def test_the_books_balance_with_faults_of_every_kind(tmp_path: Path, associations: int) -> None:
    faults = retriable(0.02) + final(0.02)
    books = soak(tmp_path, COUNT, faults, retries=2, associations=associations, seed=associations)
    assert books.faults == []
    assert sum(books.outcomes.values()) == COUNT
    assert books.rows > COUNT


def test_all_are_stored_when_every_fault_may_pass(tmp_path: Path) -> None:
    books = soak(tmp_path, COUNT, retriable(0.02), retries=20, associations=4, seed=7)
    assert books.faults == []
    assert books.outcomes == {"stored": COUNT}


def test_neither_memory_nor_descriptors_grow_with_the_number_of_instances(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        books = soak(tmp_path, 4000, swift(0.003), retries=20, associations=2, seed=3)
    finally:
        tracemalloc.stop()
    assert books.faults == []
    assert len(books.gauge.traced) > 20
    assert min(books.gauge.traced) > 0
