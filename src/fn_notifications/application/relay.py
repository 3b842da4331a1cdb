"""Events out: from the event log to the broker, in order per key, at least once."""

import json
from contextlib import suppress
from typing import Final

from attrs import frozen

from fn_notifications.application.errors import Conflict, PortError
from fn_notifications.application.ports.eventlog import Entry, EventLog
from fn_notifications.application.ports.events import EventPublisher, Outgoing
from fn_notifications.application.ports.telemetry import Telemetry

SOURCE: Final = "/fn-notifications"


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

    async def once(self) -> int:
        """One round. Returns how many entries are published; a lost lease publishes for nothing, never skips."""
        entries = await self.log.take(self.reader, self.batch)
        if not entries:
            return 0
        await self.publisher.publish(
            [
                Outgoing(
                    topic=entry.topic,
                    key=entry.key.encode(),
                    value=cloud_event(entry),
                    headers=(("content-type", b"application/cloudevents+json"),),
                )
                for entry in entries
            ]
        )
        try:
            await self.log.published(self.reader, entries)
        except Conflict:
            self.telemetry.count("relay.lease_lost")
            return 0
        self.telemetry.count("relay.published", len(entries))
        return len(entries)

    async def stop(self) -> None:
        """Make room for another reader; a log that cannot be reached will notice by the lease."""
        with suppress(PortError):
            await self.log.release(self.reader)
