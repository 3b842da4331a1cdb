"""Events in and events out: what a message broker is to the application."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from attrs import field, frozen


@frozen(kw_only=True)
class Record:
    """One message as it lay in the stream, byte for byte. `value` and `key` may hold personal data."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime
    """When the broker says it was written, aware, UTC."""
    value: bytes = field(repr=False)
    key: bytes | None = field(default=None, repr=False)
    headers: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)


@frozen(kw_only=True)
class Outgoing:
    """One message to publish. Equal keys keep their order."""

    topic: str
    key: bytes
    value: bytes = field(repr=False)
    headers: tuple[tuple[str, bytes], ...] = ()


class EventSource(Protocol):
    """Where events come from: partitioned, ordered within a partition, at least once.

    What was taken but never reported `done` comes again after a restart.
    """

    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        """Up to `limit` records; an empty sequence when none came within `wait` seconds.

        Order within one partition is the stream's. Safe to cancel: nothing is lost, what was taken comes again.
        """
        ...

    async def done(self, records: Sequence[Record]) -> None:
        """Say that these are stored for good: a restart resumes after them.

        Called after the commit, with every record of a `take`, in order. Idempotent. Records of a partition that
        has since moved to another consumer are passed over in silence: the new owner reads them again.
        """
        ...


class EventPublisher(Protocol):
    """Where events go: at least once, in order per key."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Return when every message is acknowledged by the broker.

        Raises `Unavailable` when one is not; any part of the batch may have been written then, so the caller
        publishes the whole batch again. Raises `Refused`, likewise, when the broker will never take one of them, for
        its size say: published in smaller batches, the others can be written. An empty batch is a no-op.
        """
        ...
