"""When a peer that nothing gets through to is given a rest, and when it is given up. Told the time by its caller.

Strategy: a few failures in a row are taken for chance. From then on each one is followed by a rest, twice as long as
the one before, until something gets through. Several associations that fail together make one rest.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import NamedTuple

__all__ = ["PATIENCE", "Breaker", "Advice", "backoff_seconds", "spread"]

# The first wait before something is tried again, and the longest.
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 5.0
# So many failures in a row are taken for chance; from then on the peer is given a rest.
PATIENCE = 3


class Advice(NamedTuple):
    """What follows from a failure.

    Attributes
    ----------
    is_hopeless : bool
        Nothing got through for so long that the peer is given up.
    rest_seconds : float
        For how long it is left alone; 0 when it need not be.
    failures : int
        How many there were in a row.
    """

    is_hopeless: bool
    rest_seconds: float
    failures: int


class Breaker:
    """Told of each attempt that got an answer and of each that got none, from any thread.

    Parameters
    ----------
    give_up_after
        Seconds without an answer after which the peer is given up.
    """

    def __init__(self, give_up_after: float) -> None:
        self._give_up_after = give_up_after
        self._lock = Lock()
        self._failures = 0
        self._failing_since: float | None = None
        self._rests = 0
        self._rested_at = 0.0

    def got_through(self) -> None:
        """The peer responded."""
        if self._failures:
            with self._lock:
                self._failures = self._rests = 0
                self._failing_since = None

    def got_stuck(self, since: float, now: float) -> Advice:
        """Nothing came back of an attempt that began at `since`."""
        with self._lock:
            self._failures += 1
            if self._failing_since is None:
                self._failing_since = since
            left = self._give_up_after - (now - self._failing_since)
            if left <= 0:
                return Advice(True, 0.0, self._failures)
            # What began before the last rest, and fails during it, says nothing new of the peer.
            if self._failures < PATIENCE or since < self._rested_at:
                return Advice(False, 0.0, self._failures)
            seconds = min(backoff_seconds(self._rests), left)
            self._rests += 1
            self._rested_at = now
            return Advice(False, seconds, self._failures)

    def excuse(self) -> None:
        """From here on anew: a rest that we take is no silence of the peer."""
        self._failing_since = None


def backoff_seconds(doublings: int) -> float:
    """Exponential, capped, and spread by up to a half, so that many senders do not come back together."""
    return float(min(FIRST_WAIT_SECONDS * 2**doublings, LONGEST_WAIT_SECONDS)) * (1 - spread())


def spread() -> float:
    """At random, from 0 to a half."""
    return os.urandom(1)[0] / 510
