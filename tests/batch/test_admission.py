"""Workers that the peer refused ask again: one at a time, seldomer each time, and at once when one got in."""

from __future__ import annotations

import pytest

from dicomkit.batch import _pacing as pacing
from dicomkit.batch._pacing import Pacing

SENDING = 0  # the worker that has an association all the while


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time it is; set its only item. A first wait of 1 s and a longest of 8 s, without jitter."""
    now = [0.0]
    monkeypatch.setattr(pacing, "perf_counter", lambda: now[0])
    monkeypatch.setattr(pacing, "jitter", lambda: 0.0)
    monkeypatch.setattr(pacing, "FIRST_REFUSAL_SECONDS", 1.0)
    monkeypatch.setattr(pacing, "LONGEST_REFUSAL_SECONDS", 8.0)
    return now


def with_refused(*workers: int) -> Pacing:
    """Another worker sends, and these were refused at 0 s."""
    pace = Pacing(9, 300.0, is_tuned=False)
    pace.opened(SENDING)
    for worker in workers:
        refuse(pace, worker)
    return pace


def refuse(pace: Pacing, worker: int) -> None:
    pace.refused(worker)
    pace.has_asked(worker)


def test_as_long_as_no_association_is_open_one_asks_at_a_time() -> None:
    pace = Pacing(9, 300.0, is_tuned=False)
    assert pace.may_ask(1)
    assert not pace.may_ask(2)
    pace.has_asked(1)
    assert pace.may_ask(2)
    pace.opened(2)
    assert pace.may_ask(1), "its turn is not over, but who was never refused needs none"


def test_who_was_never_turned_away_may_ask_at_any_time() -> None:
    assert with_refused(1).may_ask(2)
    assert not with_refused(1).was_refused(2)


def test_those_turned_away_wait_and_one_of_them_asks(clock: list[float]) -> None:
    pace = with_refused(1, 2, 3)
    clock[0] = 0.9
    assert not any(pace.may_ask(worker) for worker in (1, 2, 3))
    clock[0] = 1.0
    assert pace.may_ask(2)
    clock[0] = 1.1
    assert pace.may_ask(2)  # it is still its turn
    assert not pace.may_ask(1)


def test_each_refusal_doubles_the_wait_up_to_the_longest(clock: list[float]) -> None:
    pace, waits = with_refused(1, 2), []
    for _ in range(6):
        since = clock[0]
        while not pace.may_ask(1):
            clock[0] += 0.25
        refuse(pace, 1)
        waits.append(clock[0] - since)
    assert waits == [1, 2, 4, 8, 8, 8]


def test_jitter_shortens_a_wait(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "jitter", lambda: 0.5)
    pace = with_refused(1)
    clock[0] = 0.4
    assert not pace.may_ask(1)
    clock[0] = 0.5
    assert pace.may_ask(1)


def test_the_next_one_asks_at_once_when_another_is_let_in(clock: list[float]) -> None:
    pace = with_refused(1, 2)
    clock[0] = 1.0
    assert pace.may_ask(1)
    refuse(pace, 1)
    clock[0] = 3.0
    assert pace.may_ask(1)
    pace.opened(1)
    pace.has_asked(1)
    assert not pace.was_refused(1)
    assert pace.was_refused(2)
    assert pace.may_ask(2)
    refuse(pace, 2)
    clock[0] = 3.9
    assert not pace.may_ask(2)  # and waits as at first when it is turned away again
    clock[0] = 4.0
    assert pace.may_ask(2)


def test_a_turn_that_came_to_nothing_is_the_next_ones(clock: list[float]) -> None:
    pace = with_refused(1, 2)
    clock[0] = 1.0
    assert pace.may_ask(1)
    assert not pace.may_ask(2)
    pace.has_asked(1)
    assert pace.may_ask(2)
