"""When a worker asks again that the peer turned away while it served others. Pure, and told the time by its caller.

Strategy: one of them asks at a time, each time after twice as long. When one gets in there may be room for the next,
who asks at once.
"""

from __future__ import annotations

from threading import Lock


class Readmission:
    """Told of what came of each request for an association; says who may ask now.

    Parameters
    ----------
    first_seconds, longest_seconds
        The first wait, and the longest.
    """

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self._lock = Lock()
        self._outside: set[int] = set()
        self._asking: int | None = None
        self._refusals = 0
        self._due = 0.0

    def is_outside(self, worker: int) -> bool:
        """Whether this worker was turned away, and has no association since."""
        return worker in self._outside

    def turned_away(self, worker: int, now: float, *, haste: float = 0.0) -> None:
        """The peer would not have it: those that were turned away at the same time wait for the same moment.

        `haste` is the part of the wait, from 0 to 1, that is left out, so that many senders do not ask together.
        """
        with self._lock:
            if self._asking == worker or not self._outside:
                seconds = min(self._first_seconds * 2**self._refusals, self._longest_seconds)
                self._due = now + seconds * (1 - haste)
                self._refusals += 1
            self._outside.add(worker)
            self._end_turn(worker)

    def let_in(self, worker: int, now: float) -> None:
        """It has an association."""
        with self._lock:
            if worker in self._outside:
                self._outside.remove(worker)
                self._refusals = 0
                self._due = now
            self._end_turn(worker)

    def has_asked(self, worker: int) -> None:
        """Its turn is over, whatever came of it."""
        with self._lock:
            self._end_turn(worker)

    def may_ask(self, worker: int, now: float) -> bool:
        """Whether this worker may ask for an association; True begins its turn, which it has to end."""
        if worker not in self._outside:
            return True
        with self._lock:
            if self._asking is None and now >= self._due:
                self._asking = worker
            return self._asking == worker

    def _end_turn(self, worker: int) -> None:
        if self._asking == worker:
            self._asking = None
