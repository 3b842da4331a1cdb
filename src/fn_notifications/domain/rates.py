"""So many calls a second and no more, whoever makes them."""

from datetime import datetime
from math import floor

from attrs import frozen


@frozen(kw_only=True)
class Bucket:
    """Permits not yet given out. One second's worth is the most it holds, and never less than one."""

    level: float
    at: datetime
    """When that was so."""

    @staticmethod
    def full(rate: float, now: datetime) -> "Bucket":
        """As it starts."""
        return Bucket(level=max(1.0, rate), at=now)

    def take(self, wanted: int, rate: float, now: datetime) -> tuple["Bucket", int]:
        """What is left, and how many of the wanted permits were given. A clock set back gives none for that time."""
        passed = max((now - self.at).total_seconds(), 0.0)
        level = min(self.level + passed * rate, max(1.0, rate))
        given = min(max(wanted, 0), floor(level))
        return Bucket(level=level - given, at=now), given
