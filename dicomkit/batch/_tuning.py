"""How many associations pay: found by trying, while the batch is being sent. Pure, and told the time by its caller.

Strategy: count responses for a moment, double the associations, count again. A number that brings a tenth more, at a
second look if not at the first, is kept; the search ends two doublings beyond it, since small gains add up. A peer
that refuses ends it too. After a quiet time it begins anew: the peer, or its line, may have become less busy.
"""

from __future__ import annotations

from math import inf

# A stage is long enough when it has so many responses, for each association, and lasts so long.
RESPONSES_PER_ASSOCIATION = 5
STAGE_SECONDS = 0.1
# More associations are worth having when they bring at least so much more.
LEAST_GAIN = 1.1
# The search ends at so many times the number that is kept.
FURTHER = 4
# A peer that has not answered an association request by then is not going to serve it beside the others.
PATIENCE_SECONDS = 2.0
# How long a number is kept before more are tried; each time that was in vain, twice as long, up to the longest.
QUIET_SECONDS = 30.0
LONGEST_QUIET_SECONDS = 600.0


class Tuner:
    """Told of responses and openings; `target` is how many associations there should be.

    Parameters
    ----------
    most
        Never more than this.

    Attributes
    ----------
    is_settled : bool
        Whether `target` is kept for now.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.target = 1
        self.is_settled = most == 1
        self._kept = 1
        self._again_at = inf
        self._quiet_seconds = QUIET_SECONDS
        self._best = 0.0
        self._is_second_look = False
        self._responses = 0
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
