"""The tuner finds how many associations pay, whatever the peer is like: here, peers made of arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dicomkit.tuning import PATIENCE_SECONDS, Tuner


def run(tuner: Tuner, rate: Callable[[int], float], *, serves: int = 99, seconds: float = 30.0) -> int:
    """Send to a peer that answers at that rate over so many associations; the number that it ends with."""
    now = 0.0
    while not tuner.is_settled and now < seconds:
        served = min(tuner.target, serves)
        tuner.opened(served, now)
        now += 1 / rate(served)
        tuner.answered(now)
    return tuner.target


def limited(most: float, each: float = 100.0) -> Callable[[int], float]:
    """A peer whose rate grows with the associations up to a bound: a long line, or a few cores."""
    return lambda count: min(most, each * count)


@pytest.mark.parametrize(
    ("rate", "found"),
    [
        pytest.param(limited(100), 1, id="one is as good as many"),
        pytest.param(limited(200), 2, id="two cores"),
        pytest.param(limited(10_000), 16, id="a long line"),
        pytest.param(lambda count: 100 / count, 1, id="more makes it slower"),
        pytest.param(lambda count: 100 * count**0.5, 16, id="less than double each time, but worth it"),
        pytest.param(lambda count: 100 * (1 + 0.05 * count), 1, id="five per cent is not worth it"),
    ],
)
def test_the_number_that_pays_is_found(rate: Callable[[int], float], found: int) -> None:
    tuner = Tuner(16)
    assert run(tuner, rate) == found
    assert tuner.is_settled


@pytest.mark.parametrize("most", [1, 2, 3, 5, 16])
def test_never_more_than_the_most(most: int) -> None:
    tuner = Tuner(most)
    assert run(tuner, limited(1e6)) == most


@pytest.mark.parametrize(("serves", "found"), [(1, 1), (2, 2), (3, 2), (4, 4)])
def test_a_peer_that_leaves_the_others_unanswered_keeps_those_it_serves(serves: int, found: int) -> None:
    tuner = Tuner(16)
    assert run(tuner, limited(1e6), serves=serves, seconds=20 * PATIENCE_SECONDS) == found
    assert tuner.is_settled


@pytest.mark.parametrize(("open_now", "found"), [(0, 1), (1, 1), (3, 3), (9, 4)])
def test_a_refusal_settles_it_at_what_is_open(open_now: int, found: int) -> None:
    tuner = Tuner(16)
    tuner.target = 4
    tuner.refused(open_now)
    assert (tuner.target, tuner.is_settled) == (found, True)
    assert not tuner.answered(1e9)
