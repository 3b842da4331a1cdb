"""When to try again. The rule answers with a delay; whoever owns the clock adds it."""

from datetime import timedelta

from attrs import frozen

from fn_notifications.domain.outcome import Outcome, Scope


@frozen(kw_only=True)
class RetryPolicy:
    """Exponential back-off with jitter. `tries` counts answers that prove the message unsent."""

    first: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    jitter: float = 0.2
    tries: int = 3
    longest: timedelta = timedelta(hours=1)
    lane_pause: timedelta = timedelta(seconds=15)
    """How long a delivery steps aside when its lane, not the message, is what was refused; doubling too."""
    longest_lane_pause: timedelta = timedelta(minutes=5)

    def delay(self, spent: int, outcome: Outcome, chance: float, *, waits: int = 1) -> timedelta | None:
        """How long until the next try, or None when the tries are spent.

        `spent` counts the tries used, `waits` the answers about the lane, this outcome's included in either. `chance`
        in [0, 1) spreads the delay by ±`jitter`. A longer Retry-After wins. What does not spend never uses the tries
        up: its bound is the delivery's expiry. What was only in bad company goes again at once, in a smaller one
        (see `batch_size`).
        """
        if outcome.spends and spent >= self.tries:
            return None
        if outcome.scope is Scope.BATCH:
            return timedelta()
        if outcome.spends:
            backoff = self._doubled(self.first, spent, self.longest)
        else:
            backoff = self._doubled(self.lane_pause, waits, self.longest_lane_pause)
        spread = backoff * (1 + self.jitter * (2 * chance - 1))
        return max(spread, outcome.retry_after or timedelta())

    def _doubled(self, first: timedelta, nth: int, longest: timedelta) -> timedelta:
        seconds = first.total_seconds() * self.factor ** min(nth - 1, 32)
        return timedelta(seconds=min(seconds, longest.total_seconds()))
