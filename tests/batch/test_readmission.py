"""Workers that the peer turned away ask again: one at a time, seldomer each time, and at once when one got in."""

from __future__ import annotations

from dicomkit.batch._readmission import Readmission


def turned_away(*workers: int) -> Readmission:
    """Of a first wait of 1 s and a longest of 8 s, with these turned away at 0 s."""
    readmission = Readmission(1.0, 8.0)
    for worker in workers:
        readmission.turned_away(worker, 0.0)
    return readmission


def test_who_was_never_turned_away_may_ask_at_any_time() -> None:
    assert turned_away(1).may_ask(0, 0.0)
    assert not turned_away(1).is_outside(0)


def test_those_turned_away_wait_and_one_of_them_asks() -> None:
    readmission = turned_away(1, 2, 3)
    assert not any(readmission.may_ask(worker, 0.9) for worker in (1, 2, 3))
    assert readmission.may_ask(2, 1.0)
    assert readmission.may_ask(2, 1.1)  # it is still its turn
    assert not readmission.may_ask(1, 1.1)


def test_each_refusal_doubles_the_wait_up_to_the_longest() -> None:
    readmission, now, waits = turned_away(1, 2), 0.0, []
    for _ in range(6):
        since = now
        while not readmission.may_ask(1, now):
            now += 0.25
        readmission.turned_away(1, now)
        waits.append(now - since)
    assert waits == [1, 2, 4, 8, 8, 8]


def test_haste_shortens_a_wait() -> None:
    readmission = Readmission(1.0, 8.0)
    readmission.turned_away(1, 0.0, haste=0.5)
    assert not readmission.may_ask(1, 0.4)
    assert readmission.may_ask(1, 0.5)


def test_the_next_one_asks_at_once_when_another_is_let_in() -> None:
    readmission = turned_away(1, 2)
    assert readmission.may_ask(1, 1.0)
    readmission.turned_away(1, 1.0)
    assert readmission.may_ask(1, 3.0)
    readmission.let_in(1, 3.0)
    assert not readmission.is_outside(1)
    assert readmission.is_outside(2)
    assert readmission.may_ask(2, 3.0)
    readmission.turned_away(2, 3.0)
    assert not readmission.may_ask(2, 3.9)  # and waits as at first when it is turned away again
    assert readmission.may_ask(2, 4.0)


def test_a_turn_that_came_to_nothing_is_the_next_ones() -> None:
    readmission = turned_away(1, 2)
    assert readmission.may_ask(1, 1.0)
    assert not readmission.may_ask(2, 1.0)
    readmission.has_asked(1)
    assert readmission.may_ask(2, 1.0)
