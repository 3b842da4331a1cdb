"""An embedded stack with the service running on it: what `dev` and `demo` are made of."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from attrs import frozen

from fn_notifications.adapters.postgres.migrate import migrate
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.entrypoints.bootstrap import Service, bootstrap
from fn_notifications.entrypoints.embedded import Embedded, embedded
from fn_notifications.entrypoints.parts import open_database
from fn_notifications.entrypoints.settings import Settings


@frozen(kw_only=True)
class Stack:
    """A running service and the parts it stands on. `running` ends only by failing."""

    service: Service
    embedded: Embedded
    running: asyncio.Task[None]


@asynccontextmanager
async def running_stack(settings: Settings, directory: Path, telemetry: Telemetry) -> AsyncIterator[Stack]:
    """Start the parts, migrate, run every role; on leaving, stop in the reverse order."""
    async with embedded(settings, directory) as parts:
        async with open_database(parts.settings) as database:
            await migrate(database)
        async with bootstrap(parts.settings, telemetry, mailbox=parts.simulator) as service:
            listening = asyncio.Event()
            running = asyncio.create_task(service.run(listening.set), name="service")
            try:
                waiting = asyncio.create_task(listening.wait())
                await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if running.done():
                    await running
                yield Stack(service=service, embedded=parts, running=running)
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
