"""Events out: from the event log to the broker, in order per key, at least once."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from attrs import evolve, frozen

from fn_notifications.application.errors import Conflict, PortError, Refused
from fn_notifications.application.ports.eventlog import LEASE, Entry, EventLog
from fn_notifications.application.ports.events import EventPublisher, Outgoing
from fn_notifications.application.ports.telemetry import Telemetry

SOURCE: Final = "/fn-notifications"

OMITTED: Final = {"omitted": "too large"}
"""The data of an event that the broker will not take as it is. Its id, type and time say what happened."""


def cloud_event(entry: Entry) -> bytes:
    """A structured CloudEvent (CloudEvents 1.0 JSON format), UTF-8."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": entry.id,
            "source": SOURCE,
            "type": entry.topic,
            "time": entry.at.isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            "data": entry.data,
        },
        separators=(",", ":"),
    ).encode()


@frozen(kw_only=True)
class Relay:
    """Publishes the log."""

    log: EventLog
    publisher: EventPublisher
    telemetry: Telemetry
    reader: str
    batch: int = 500
    beat: float = LEASE.total_seconds() / 3
    """Seconds after which the lease is renewed while the broker takes its time, and again."""

    async def once(self) -> int:
        """One round. Returns how many entries are published; a lost lease publishes for nothing, never skips."""
        entries = await self.log.take(self.reader, self.batch)
        if not entries:
            return 0
        try:
            await self._publish(entries)
            await self.log.published(self.reader, entries)
        except Conflict:
            self.telemetry.count("relay.lease_lost")
            return 0
        self.telemetry.count("relay.published", len(entries))
        return len(entries)

    async def _publish(self, entries: Sequence[Entry]) -> None:
        """Publish under a lease that is kept alive. Raises `Conflict` as soon as it is known to be lost."""
        publishing = asyncio.ensure_future(self._write(entries))
        try:
            while not publishing.done():
                done, _ = await asyncio.wait({publishing}, timeout=self.beat)
                if not done:
                    await self.log.renew(self.reader, entries)
            await publishing
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)

    async def _write(self, entries: Sequence[Entry]) -> None:
        """Publish. What the broker will never take goes without its data, so that it neither vanishes nor keeps
        everything behind it waiting. Raises `Refused` when not even that is taken.
        """
        try:
            await self.publisher.publish([_message(entry) for entry in entries])
        except Refused:
            if len(entries) > 1:
                middle = len(entries) // 2
                await self._write(entries[:middle])
                await self._write(entries[middle:])
                return
            (entry,) = entries
            self.telemetry.count("relay.refused", topic=entry.topic)
            self.telemetry.log("error", "relay.refused", id=entry.id, topic=entry.topic)
            await self.publisher.publish([_message(evolve(entry, data=OMITTED))])

    async def stop(self) -> None:
        """Make room for another reader; a log that cannot be reached will notice by the lease."""
        with suppress(PortError):
            await self.log.release(self.reader)


def _message(entry: Entry) -> Outgoing:
    return Outgoing(
        topic=entry.topic,
        key=entry.key.encode(),
        value=cloud_event(entry),
        headers=(("content-type", b"application/cloudevents+json"),),
    )
