"""What waits for an operator: events in quarantine, and dead letters to be tried again."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from fn_notifications.application.ports.intake import Original, Position
from fn_notifications.domain.reasons import Reason


@frozen(kw_only=True)
class Wanted:
    """Which are meant: all that fit. What is None does not matter."""

    type: str | None = None
    user_id: str | None = None
    reason: Reason | None = None

    def fits(self, held: "Held") -> bool:
        """Whether this one is meant."""
        return (
            self.type in (None, held.type)
            and self.user_id in (None, held.user_id)
            and self.reason in (None, held.reason)
        )


@frozen(kw_only=True)
class Held:
    """What an event means for one person, held: as listed, without the event's bytes."""

    id: int
    type: str
    user_id: str
    reason: Reason
    event_at: datetime
    held_at: datetime
    position: Position


@frozen(kw_only=True)
class Tally:
    """What became of all that was ever held of one type for one reason. The three are disjoint."""

    type: str
    reason: Reason
    held: int = 0
    released: int = 0
    discarded: int = 0


class Quarantine(Protocol):
    """Held events. They come in with `IntakeStore.store`, and a released one leaves by it."""

    async def held(self, tenant: str, wanted: Wanted, limit: int, *, after: Held | None = None) -> Sequence[Held]:
        """Those that are held, the oldest event first, from behind `after` on."""
        ...

    async def opened(self, tenant: str, ids: Collection[int]) -> Mapping[int, Original]:
        """The events of these, as they came; those that are held no longer, or open with no key, are left out."""
        ...

    async def discard(self, tenant: str, wanted: Wanted, *, keep: int = 0) -> int:
        """Say of all that fit, but the `keep` newest events per person and type, that they are never to be told.

        In one transaction; their bytes go, the record of them stays. Idempotent. Returns how many.
        """
        ...

    async def tally(self, tenant: str, wanted: Wanted) -> Sequence[Tally]:
        """The counts of what fits, by type and reason."""
        ...


class DeadLetters(Protocol):
    """Dead letters, to be tried again. They are listed by `History.dead_letters`."""

    async def opened(self, tenant: str, letter: int) -> Original | None:
        """The event as it came; None when there is no such letter. Raises `VaultError` when no key opens it."""
        ...

    async def replayed(self, tenant: str, letter: int) -> None:
        """Note that it was tried again with success. Idempotent; the first time counts."""
        ...
