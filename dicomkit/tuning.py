"""How many associations pay: found by trying, while the batch is being sent. Pure, and told the time by its caller.

Strategy: count responses for a moment, double the associations, count again. As long as that brings a tenth more it
goes on; when it does not, the number before is kept. What the peer refuses, or leaves unanswered, ends it too.
"""

from __future__ import annotations

# A stage is long enough when it has so many responses, for each association, and lasts so long.
RESPONSES_PER_ASSOCIATION = 5
STAGE_SECONDS = 0.1
# More associations are worth having when they bring at least so much more.
LEAST_GAIN = 1.1
# A peer that has not answered an association request by then is not going to serve it beside the others.
PATIENCE_SECONDS = 2.0


class Tuner:
    """Told of responses and openings; `target` is how many associations there should be.

    Parameters
    ----------
    most
        Never more than this.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.target = 1
        self.is_settled = most == 1
        self._best = 0.0
        self._responses = 0
        self._since: float | None = None
        self._raised_at: float | None = None

    def opened(self, count: int, now: float) -> None:
        """So many associations are open; the stage begins when all are that should be."""
        if not self.is_settled and self._since is None and count >= self.target:
            self._since = now
            self._responses = 0

    def answered(self, now: float) -> bool:
        """A response came; True when `target` has changed."""
        if self.is_settled:
            return False
        if self._since is None:
            if self._raised_at is not None and now - self._raised_at > PATIENCE_SECONDS:
                self._settle(self.target // 2)
                return True
            return False
        self._responses += 1
        seconds = now - self._since
        if self._responses < RESPONSES_PER_ASSOCIATION * self.target or seconds < STAGE_SECONDS:
            return False
        rate = self._responses / seconds
        if rate < LEAST_GAIN * self._best:
            self._settle(self.target // 2)
        elif self.target == self.most:
            self._settle(self.target)
            return False
        else:
            self._best = rate
            self.target = min(2 * self.target, self.most)
            self._raised_at = now
            self._since = None
        return True

    def refused(self, count: int) -> None:
        """The peer serves so many associations, and no more."""
        self._settle(max(1, min(count, self.target)))

    def _settle(self, target: int) -> None:
        self.target = max(1, target)
        self.is_settled = True
