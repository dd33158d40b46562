"""The tuner finds how many associations pay, whatever the peer is like: here, peers made of arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dicomkit.batch._pacing import PATIENCE_SECONDS, QUIET_SECONDS, Tuner


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
        pytest.param(lambda count: 100 * (1 + 0.05 * count), 16, id="five per cent at first, and then more"),
        pytest.param(lambda count: 100 * (1 + 0.01 * count), 1, id="four per cent is not worth it"),
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
@pytest.mark.parametrize("may_pass", [False, True])
def test_a_refusal_settles_it_at_what_is_open(open_now: int, found: int, may_pass: bool) -> None:
    tuner = Tuner(16)
    tuner.target = 4
    tuner.refused(open_now, 0.0, may_pass=may_pass)
    assert (tuner.target, tuner.is_settled) == (found, True)
    assert not tuner.answered(QUIET_SECONDS - 1)
    assert tuner.is_settled


def test_the_number_before_is_kept_though_the_last_step_was_a_small_one() -> None:
    assert run(Tuner(3), limited(200)) == 2


def test_one_moment_of_silence_does_not_settle_it() -> None:
    tuner, now, answers = Tuner(16), 0.0, 0
    while not tuner.is_settled:
        tuner.opened(tuner.target, now)
        answers += 1
        now += 1 / (100 * tuner.target) + (1.0 if answers == 40 else 0.0)
        tuner.answered(now)
    assert tuner.target == 16


def asks_again(tuner: Tuner, now: float, rate: float) -> float:
    """When it next wants more associations, from a peer that answers at that rate over those it has."""
    target = tuner.target
    while not tuner.answered(now):
        now += 1 / rate
    assert tuner.target == min(2 * target, tuner.most)
    return now


def test_after_a_quiet_time_it_tries_again_each_time_later_while_that_is_in_vain() -> None:
    tuner, now, waits = Tuner(16), 0.0, []
    tuner.target = 4
    tuner.refused(2, now)
    for _ in range(7):
        again = asks_again(tuner, now, 200.0)
        waits.append(round(again - now))
        now = again
        for _ in range(2):  # both that it asks for are turned away
            tuner.refused(2, now)
        assert (tuner.target, tuner.is_settled) == (2, True)
    assert waits == [30, 60, 120, 240, 480, 600, 600]


def test_a_peer_that_has_room_later_gets_more_later() -> None:
    tuner = Tuner(16)
    tuner.target = 4
    tuner.refused(1, 0.0)
    now = asks_again(tuner, 0.0, 100.0)
    while not tuner.is_settled:
        tuner.opened(tuner.target, now)
        now += 1 / limited(600)(tuner.target)
        tuner.answered(now)
    assert tuner.target == 8
    # What paid makes it curious: the next wait is the first one again.
    assert asks_again(tuner, now, 600.0) - now == pytest.approx(QUIET_SECONDS, abs=1)


@pytest.mark.parametrize("how", ["refused for good", "left unanswered", "at the most"])
def test_what_will_not_change_is_not_tried_again(how: str) -> None:
    tuner = Tuner(2 if how == "at the most" else 16)
    if how == "refused for good":
        tuner.target = 2
        tuner.refused(1, 0.0, may_pass=False)
    else:
        run(tuner, limited(1e6), serves=2 if how == "at the most" else 1)
    target = tuner.target
    assert tuner.is_settled
    for now in range(100, 10_000, 100):
        assert not tuner.answered(float(now))
    assert (tuner.target, tuner.is_settled) == (target, True)
