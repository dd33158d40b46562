"""A few seconds of `tests.fuzz` on each target, on a seed that is the same every time."""

from __future__ import annotations

import random
import tracemalloc
import warnings
from collections.abc import Iterator

import pytest

from tests.fuzz import TARGETS, fuzz, mutate

SECONDS = 3.0


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.usefixtures("traced")
def test_nothing_but_our_own_errors_comes_of_any_input(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, upon what it is asked to look at
        assert fuzz(name, SECONDS, seed=1) > 0


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_mutated_was_valid(name: str) -> None:
    read, seeds = TARGETS[name]
    accepted = 0
    for seed in seeds():
        try:
            read(seed)
            accepted += 1
        except ValueError:
            continue  # a setting that is faulty on purpose
        except Exception as error:  # noqa: BLE001 - a file of pydicom's that cannot be sent
            assert name in ("instance", "message"), error
    assert accepted


def test_mutations_differ_and_are_the_same_for_a_seed() -> None:
    first = [mutate(b"0123456789", random.Random(number), [b"abcdef"]) for number in range(100)]
    again = [mutate(b"0123456789", random.Random(number), [b"abcdef"]) for number in range(100)]
    assert first == again
    assert len(set(first)) > 50
