"""When to try again, when to leave a peer alone, how many associations to have, who may ask for one.

`Pacing` is what a run talks to, from any thread; it has the one clock and the one lock. `Breaker` and
`Tuner`, which it asks, know neither: they are given the time, so that a test can put them through a day in no
time.
"""

from __future__ import annotations

import os
from math import inf
from threading import Lock
from time import perf_counter

from dicomkit._support.frozen import Frozen

# The first wait before something is tried again, and the longest.
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 5.0
# A peer that nothing gets through to is given up after so long, unless the caller says another.
GIVE_UP_SECONDS = 300.0
# So many failures in a row are taken for chance; from then on each is followed by a pause.
FAILURES_BY_CHANCE = 3

# When a worker asks again that the peer refused while it served others; each time twice as long, up to the
# longest.
FIRST_REFUSAL_SECONDS = 1.0
LONGEST_REFUSAL_SECONDS = 60.0

# The tuner counts responses for so long, and at least so many for each association.
STAGE_SECONDS = 0.1
RESPONSES_PER_ASSOCIATION = 5
# More associations are worth having when they bring at least so much more.
LEAST_GAIN = 1.1
# The search ends at so many times the number that is kept.
FURTHER = 4
# A peer that has not answered an association request by then is not going to serve it beside the others.
PATIENCE_SECONDS = 2.0
# How long a number is kept before more are tried; each time that was in vain, twice as long, up to the
# longest.
QUIET_SECONDS = 30.0
LONGEST_QUIET_SECONDS = 600.0


def backoff_seconds(doublings: int) -> float:
    """How long an instance waits for its next attempt, or a batch for its peer."""
    return _doubled(FIRST_WAIT_SECONDS, doublings, LONGEST_WAIT_SECONDS)


def _doubled(first: float, doublings: int, longest: float) -> float:
    """Exponential, capped, and shortened by jitter."""
    return float(min(first * 2**doublings, longest)) * (1 - jitter())


def jitter() -> float:
    """A part of a wait to leave out, from 0 to a half, so that many senders do not return together."""
    return os.urandom(1)[0] / 510


class Pacing:
    """The pace of a batch over so many associations; with `is_tuned`, over as many of them as pay.

    Whether the peer was ever there: as long as it was not (`was_there`), an answer that says so for certain is
    about a wrong address rather than a peer that is down for a while. An association that it accepted shows
    that it is there, and so does one that it rejected or aborted.

    Which worker may ask for an association: as long as none is open, one at a time, so that a peer that is
    not there costs one attempt and not one for each worker. Later anyone may, but for those that the peer
    refused while it served others: one of them asks at a time, each time after twice as long. When one gets
    in there may be room for the next, who asks at once.
    """

    def __init__(self, most: int, give_up_after: float, *, is_tuned: bool) -> None:
        self.most = most
        self.was_there = False
        self._tuner = Tuner(most) if is_tuned else None
        self._breaker = Breaker(give_up_after)
        self._lock = Lock()
        # By the numbers of workers: who works, who has an association, who was refused one and has had none
        # since.
        self._at_work: set[int] = set()
        self._open: set[int] = set()
        self._refused: set[int] = set()
        self._asking: int | None = None
        self._refusals = 0
        self._may_ask_at = 0.0

    @property
    def target(self) -> int:
        """How many workers there should be."""
        return self.most if self._tuner is None else self._tuner.target

    @property
    def lacks_workers(self) -> bool:
        return len(self._at_work) < self.target

    @property
    def has_associations(self) -> bool:
        """Whether any worker has an association open."""
        return bool(self._open)

    def joined(self, worker: int) -> None:
        """A worker was started."""
        with self._lock:
            self._at_work.add(worker)

    def left(self, worker: int) -> None:
        """A worker takes nothing more."""
        with self._lock:
            self._at_work.discard(worker)

    def may_leave(self, worker: int) -> bool:
        """Whether others go on without this worker, which has left if so."""
        with self._lock:
            may_leave = len(self._at_work) > 1
            if may_leave:
                self._at_work.discard(worker)
            return may_leave

    def is_surplus(self, worker: int) -> bool:
        """Whether a tuned batch does without this worker; those that have an association come first."""
        if self._tuner is None or len(self._at_work) <= self._tuner.target:
            return False
        with self._lock:
            place = worker not in self._open, worker
            ahead = sum((other not in self._open, other) < place for other in self._at_work)
            return ahead >= self._tuner.target

    # ------------------------------------------------------------ associations

    def was_refused(self, worker: int) -> bool:
        """Whether the peer refused this worker an association, and it has had none since."""
        return worker in self._refused

    def may_ask(self, worker: int) -> bool:
        """Whether this worker may ask for an association; True begins its turn, where it needs one."""
        with self._lock:
            if self._open and worker not in self._refused:
                return True
            if self._asking is None and (not self._open or perf_counter() >= self._may_ask_at):
                self._asking = worker
            return self._asking == worker

    def has_asked(self, worker: int) -> None:
        """Its turn is over, if it had one, whatever came of it; others may have waited for that."""
        with self._lock:
            if self._asking == worker:
                self._asking = None

    def opened(self, worker: int) -> None:
        """This worker has an association."""
        with self._lock:
            now = perf_counter()
            self.was_there = True
            self._open.add(worker)
            if worker in self._refused:
                self._refused.remove(worker)
                self._refusals = 0
                self._may_ask_at = now
            if self._tuner is not None:
                self._tuner.opened(len(self._open), now)

    def closed(self, worker: int) -> None:
        """It has it no more."""
        with self._lock:
            self._open.discard(worker)

    def refused(self, worker: int) -> None:
        """The peer would not have it beside the others; those refused together wait for the same moment."""
        with self._lock:
            if self._asking == worker or not self._refused:
                seconds = _doubled(FIRST_REFUSAL_SECONDS, self._refusals, LONGEST_REFUSAL_SECONDS)
                self._may_ask_at = perf_counter() + seconds
                self._refusals += 1
            self._refused.add(worker)

    def are_enough(self, *, may_pass: bool) -> bool:
        """There can be no more associations than are open, for now or for good; True if `target` follows."""
        if self._tuner is None:
            return False
        with self._lock:
            self._tuner.refused(len(self._open), perf_counter(), may_pass=may_pass)
        return True

    def cannot_start_more(self) -> None:
        """There is no room for another worker beside those at work."""
        with self._lock:
            count = max(len(self._at_work), 1)
            if self._tuner is None:
                self.most = count
            else:
                self._tuner.refused(count, perf_counter())

    # ------------------------------------------------------------ responses

    def got_through(self) -> bool:
        """The peer responded; True when `target` has changed by that."""
        if self._breaker.failures:
            with self._lock:
                self._breaker.got_through()
        if self._tuner is None:
            return False
        with self._lock:
            return self._tuner.answered(perf_counter())

    def got_stuck(self, since: float | None = None) -> Advice:
        """Nothing came back of an attempt that began at `since`, on the clock of `time.perf_counter`."""
        with self._lock:
            now = perf_counter()
            return self._breaker.got_stuck(now if since is None else since, now)

    def paused(self) -> None:
        """The sending was paused from here on: that is no silence of the peer."""
        with self._lock:
            self._breaker.excuse()


class Advice(Frozen):
    """What follows from a failure: giving the peer up, or leaving it alone for so long."""

    is_hopeless: bool
    pause_seconds: float


class Breaker:
    """When a peer that nothing gets through to is left alone for a while, and when it is given up.

    A few failures in a row are taken for chance. From then on each one is followed by a pause, twice as long
    as the one before, until something gets through. Several associations that fail together make one pause.
    """

    def __init__(self, give_up_after: float) -> None:
        self.failures = 0
        self._give_up_after = give_up_after
        self._failing_since: float | None = None
        self._pauses = 0
        self._paused_at = 0.0

    def got_through(self) -> None:
        """The peer responded."""
        self.failures = self._pauses = 0
        self._failing_since = None

    def got_stuck(self, since: float, now: float) -> Advice:
        """Nothing came back of an attempt that began at `since`."""
        self.failures += 1
        if self._failing_since is None:
            self._failing_since = since
        left = self._give_up_after - (now - self._failing_since)
        if left <= 0:
            return Advice(True, 0.0)
        # What began before the last pause, and fails during it, says nothing new of the peer.
        if self.failures < FAILURES_BY_CHANCE or since < self._paused_at:
            return Advice(False, 0.0)
        seconds = min(backoff_seconds(self._pauses), left)
        self._pauses += 1
        self._paused_at = now
        return Advice(False, seconds)

    def excuse(self) -> None:
        """Count the time without a response from the next failure on."""
        self._failing_since = None


class Tuner:
    """How many associations pay: found by trying, while the batch is being sent.

    Count responses for a moment, double the associations, count again. A number that brings a tenth more, at
    a second look if not at the first, is kept; the search ends two doublings beyond it, since small gains add
    up. A peer that refuses ends it too. After a quiet time it begins anew: the peer, or its line, may have
    become less busy.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.target = 1  # how many associations there should be
        self.is_settled = most == 1  # whether that is kept for now
        self._kept = 1
        self._again_at = inf
        self._quiet_seconds = QUIET_SECONDS
        self._best = 0.0
        self._is_second_look = False
        self._responses = 0
        # When the stage began, in which responses are counted; None until all associations are open.
        self._since: float | None = None
        self._raised_at: float | None = None

    def opened(self, count: int, now: float) -> None:
        """So many associations are open; the stage begins when all are that should be."""
        if not self.is_settled and self._since is None and count >= self.target:
            self._begin_stage(now)

    def answered(self, now: float) -> bool:
        """A response came; True when `target` has changed."""
        if self.is_settled:
            if now >= self._again_at:
                self.is_settled, self._best = False, 0.0
                self._begin_stage(now)
            return False
        if self._since is None:
            if self._raised_at is not None and now - self._raised_at > PATIENCE_SECONDS:
                self._settle(self._kept, inf)
                return True
            return False
        self._responses += 1
        seconds = now - self._since
        if self._responses < RESPONSES_PER_ASSOCIATION * self.target or seconds < STAGE_SECONDS:
            return False
        rate = self._responses / seconds
        pays = rate >= LEAST_GAIN * self._best
        if not pays and not self._is_second_look:
            # One slow moment, of ours or the peer's, is no reason to do with fewer.
            self._begin_stage(now)
            self._is_second_look = True
            return False
        if pays:
            if self._best:
                self._quiet_seconds = QUIET_SECONDS
            self._best, self._kept = rate, self.target
        if self._kept == self.most:
            self._settle(self._kept, inf)
            return False
        if self.target == self.most or self.target >= FURTHER * self._kept:
            self._settle_for_now(self._kept, now)
            return True
        self.target = min(2 * self.target, self.most)
        self._raised_at = now
        self._since = None
        return True

    def refused(self, count: int, now: float, *, may_pass: bool = True) -> None:
        """The peer serves so many associations and no more, for now or (`may_pass` is false) for good."""
        count = max(1, min(count, self.target))
        if not may_pass:
            self._settle(count, inf)
        elif not self.is_settled or count < self.target:  # several refused at the same time count once
            self._settle_for_now(count, now)

    def _begin_stage(self, now: float) -> None:
        self._since = now
        self._responses = 0
        self._is_second_look = False

    def _settle_for_now(self, target: int, now: float) -> None:
        self._settle(target, now + self._quiet_seconds)
        self._quiet_seconds = min(2 * self._quiet_seconds, LONGEST_QUIET_SECONDS)

    def _settle(self, target: int, again_at: float) -> None:
        self.target = target
        self.is_settled = True
        self._again_at = again_at
