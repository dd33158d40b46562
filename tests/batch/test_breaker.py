"""A peer that nothing gets through to is left alone, longer each time, and is given up in the end."""

from __future__ import annotations

import pytest

from dicomkit.batch import _pacing as pacing
from dicomkit.batch._pacing import FAILURES_BY_CHANCE, Breaker


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "jitter", lambda: 0.0)


def pauses(peer: Breaker, count: int, now: float = 0.0) -> list[float]:
    """The pauses after so many failures, each of an attempt that began after the pause before and took a second."""
    found = []
    for _ in range(count):
        advice = peer.got_stuck(now, now + 1)
        assert not advice.is_hopeless
        found.append(advice.pause_seconds)
        now += 1 + advice.pause_seconds
    return found


def test_a_few_failures_are_chance_and_then_each_has_a_longer_rest() -> None:
    assert pauses(Breaker(1000), FAILURES_BY_CHANCE + 5) == [0, 0, 0.5, 1, 2, 4, 5, 5]


def test_an_answer_begins_it_anew() -> None:
    peer = Breaker(1000)
    pauses(peer, FAILURES_BY_CHANCE + 2)
    peer.got_through()
    assert pauses(peer, FAILURES_BY_CHANCE + 1, now=100) == [0, 0, 0.5, 1]


def test_associations_that_fail_together_make_one_rest() -> None:
    peer = Breaker(1000)
    advices = [peer.got_stuck(since=0.0, now=1 + index / 1000) for index in range(16)]
    assert [advice.pause_seconds for advice in advices] == [0, 0, 0.5, *[0] * 13]
    assert peer.failures == 16
    assert peer.got_stuck(since=1.6, now=1.7).pause_seconds == 1  # it began after the rest


def test_a_peer_is_given_up_when_nothing_got_through_for_so_long() -> None:
    peer = Breaker(10)
    assert not peer.got_stuck(0, 9).is_hopeless
    assert peer.got_stuck(9, 10).is_hopeless


def test_no_rest_is_longer_than_the_time_that_is_left() -> None:
    peer = Breaker(10)
    for _ in range(FAILURES_BY_CHANCE - 1):
        peer.got_stuck(0, 1)
    assert peer.got_stuck(1, 9.75).pause_seconds == 0.25


def test_a_rest_that_we_take_is_no_silence_of_the_peer() -> None:
    peer = Breaker(10)
    peer.got_stuck(0, 9)
    peer.excuse()
    assert not peer.got_stuck(100, 101).is_hopeless
