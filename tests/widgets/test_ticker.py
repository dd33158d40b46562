"""What brings widgets up to date: once after many changes, and again after work that raised."""

from __future__ import annotations

import threading

import pytest

from dicomkit.widgets._ticker import Ticker
from tests.support.peers import wait_until

SECONDS = 20.0


def threads_of(name: str) -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == name]


def test_of_many_wakes_the_work_is_done_once_and_the_thread_ends() -> None:
    done: list[None] = []
    ticker = Ticker(lambda: done.append(None), "once")
    for _ in range(100):
        ticker.wake()
    wait_until(lambda: bool(done) and not threads_of("once"), SECONDS, "the end of the work")
    assert len(done) == 1
    ticker.wake()
    wait_until(lambda: len(done) == 2, SECONDS, "the work after another change")


def test_work_that_wakes_its_ticker_is_done_again() -> None:
    done: list[None] = []

    def work() -> None:
        done.append(None)
        if len(done) < 3:
            ticker.wake()

    ticker = Ticker(work, "again")
    ticker.wake()
    wait_until(lambda: len(done) == 3 and not threads_of("again"), SECONDS, "the third time")


def test_what_the_work_raises_is_reported_and_the_next_time_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)
    done: list[None] = []

    def work() -> None:
        if not reported:
            raise RuntimeError("of an observer")
        done.append(None)

    ticker = Ticker(work, "raises")
    ticker.wake()
    wait_until(lambda: bool(reported), SECONDS, "the report")
    assert str(reported[0].exc_value) == "of an observer"
    assert reported[0].thread is not None
    assert reported[0].thread.name == "raises"
    ticker.wake()
    wait_until(lambda: bool(done), SECONDS, "the work after one that raised")


def test_a_closed_ticker_begins_nothing() -> None:
    done: list[None] = []
    ticker = Ticker(lambda: done.append(None), "closed")
    ticker.wake()
    ticker.close()
    wait_until(lambda: not threads_of("closed"), SECONDS, "the end of the thread")
    ticker.wake()
    assert not threads_of("closed")
    assert done == []
