"""Workers that the peer turned away ask again: one at a time, seldomer each time, and at once when one got in."""

from __future__ import annotations

import pytest

from dicomkit.batch import _pacing as pacing
from dicomkit.batch._pacing import Admission


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first wait of 1 s and a longest of 8 s."""
    monkeypatch.setattr(pacing, "FIRST_REFUSAL_SECONDS", 1.0)
    monkeypatch.setattr(pacing, "LONGEST_REFUSAL_SECONDS", 8.0)


def with_refused(*workers: int) -> Admission:
    """With these workers refused at 0 s."""
    admission = Admission()
    for worker in workers:
        admission.refused(worker, 0.0)
    return admission


def test_who_was_never_turned_away_may_ask_at_any_time() -> None:
    assert with_refused(1).may_ask(0, 0.0)
    assert not with_refused(1).is_waiting(0)


def test_those_turned_away_wait_and_one_of_them_asks() -> None:
    admission = with_refused(1, 2, 3)
    assert not any(admission.may_ask(worker, 0.9) for worker in (1, 2, 3))
    assert admission.may_ask(2, 1.0)
    assert admission.may_ask(2, 1.1)  # it is still its turn
    assert not admission.may_ask(1, 1.1)


def test_each_refusal_doubles_the_wait_up_to_the_longest() -> None:
    admission, now, waits = with_refused(1, 2), 0.0, []
    for _ in range(6):
        since = now
        while not admission.may_ask(1, now):
            now += 0.25
        admission.refused(1, now)
        waits.append(now - since)
    assert waits == [1, 2, 4, 8, 8, 8]


def test_jitter_shortens_a_wait() -> None:
    admission = Admission()
    admission.refused(1, 0.0, jitter=0.5)
    assert not admission.may_ask(1, 0.4)
    assert admission.may_ask(1, 0.5)


def test_the_next_one_asks_at_once_when_another_is_accepted() -> None:
    admission = with_refused(1, 2)
    assert admission.may_ask(1, 1.0)
    admission.refused(1, 1.0)
    assert admission.may_ask(1, 3.0)
    admission.accepted(1, 3.0)
    assert not admission.is_waiting(1)
    assert admission.is_waiting(2)
    assert admission.may_ask(2, 3.0)
    admission.refused(2, 3.0)
    assert not admission.may_ask(2, 3.9)  # and waits as at first when it is turned away again
    assert admission.may_ask(2, 4.0)


def test_a_turn_that_came_to_nothing_is_the_next_ones() -> None:
    admission = with_refused(1, 2)
    assert admission.may_ask(1, 1.0)
    assert not admission.may_ask(2, 1.0)
    admission.has_asked(1)
    assert admission.may_ask(2, 1.0)
