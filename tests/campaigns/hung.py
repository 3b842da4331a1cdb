"""A provider that takes calls and never answers, against the installed service: does it hold up anybody else?

    python -m tests.campaigns.hung --seconds 60

The service runs as a process of its own on PostgreSQL and Apache Kafka with the provider simulator. First it sends
email undisturbed; then text messages wait as well, and their provider hangs. One JSON line: `sends_per_second`
undisturbed and `sends_while_it_hangs`, `share` of the two, `hanging` calls at most, `connections` to the database at
most and the `pool` they may fill, `left_to_send`, `seconds`. Ends with 1 when nothing hung, nothing was sent or there
were more connections than the pool may have.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from attrs import define
from tests.services.deployment import Deployment, until
from tests.services.kafka import apache_kafka
from tests.services.postgres import postgres_server

from fn_notifications.simulator.server import Simulator

_TEXTS: Final = 500
_EACH: Final = 15
"""Mails to a person: more within an hour would be held as a flood."""
_POOL: Final = 10
_CONNECTIONS: Final = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fn-notifications'"


@define
class Silence:
    """A server that takes connections and says nothing."""

    url: str = ""
    hanging: int = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read until the other side has had enough."""
        self.hanging += 1
        with suppress(OSError):
            while await reader.read(65_536):
                pass
        self.hanging -= 1
        writer.close()


@asynccontextmanager
async def silence() -> AsyncIterator[Silence]:
    """One on loopback."""
    silent = Silence()
    server = await asyncio.start_server(silent.take, "127.0.0.1", 0)
    silent.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield silent


def _event(type_: str, id_: str, **data: Any) -> dict[str, Any]:
    return {"type": type_, "id": id_, "source": "posts", "data": data}


def _people(mails: int) -> list[dict[str, Any]]:
    by_email = [{"user_id": f"user-{n}", "email": f"user-{n}@example.com"} for n in range(-(-mails // _EACH))]
    by_phone = [{"user_id": f"phone-{n}", "phone": f"+1415555{n:04}"} for n in range(_TEXTS)]
    return [*by_email, *by_phone]


def _mails(amount: int) -> list[dict[str, Any]]:
    return [
        _event("post.created", f"mail-{n}", user_id=f"user-{n // _EACH}", post_id=str(n), title="A wallet")
        for n in range(amount)
    ]


def _texts() -> list[dict[str, Any]]:
    return [
        _event("post.claimed", f"text-{n}", user_id=f"phone-{n}", post_id=str(n), claim_id=str(n), title="Keys")
        for n in range(_TEXTS)
    ]


@asynccontextmanager
async def _deployed(silent: Silence, mails: int) -> AsyncIterator[Deployment]:
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kafka = stack.enter_context(apache_kafka())
        server = stack.enter_context(postgres_server())
        simulator = await stack.enter_async_context(Simulator(keep=1_000_000))
        deployment = Deployment(
            database=server.fresh_database(),
            kafka=kafka.bootstrap,
            simulator=simulator,
            directory=home,
            topics=("hung",),
            more={"LOG_LEVEL": "warning", "TWILIO_BASE_URL": silent.url, "POOL_SIZE": str(_POOL)},
        )
        await deployment.prepare()
        (home / "people.jsonl").write_text("\n".join(json.dumps(person) for person in _people(mails)))
        await deployment.command("preferences", str(home / "people.jsonl"))
        await deployment.start()
        stack.push_async_callback(deployment.stop)
        yield deployment


async def _sent_in(deployment: Deployment, silent: Silence, seconds: float) -> tuple[float, int, int]:
    """Mails a second while this lasts, and the most calls that hung and connections there were."""
    before, began = deployment.simulator.tally.accepted_total, time.monotonic()
    hanging = connections = 0
    while (lasted := time.monotonic() - began) < seconds:
        ((open_,),) = await deployment.query(_CONNECTIONS)
        hanging, connections = max(hanging, silent.hanging), max(connections, open_)
        await asyncio.sleep(min(1.0, seconds - lasted))
    sent = deployment.simulator.tally.accepted_total - before
    return sent / (time.monotonic() - began), hanging, connections


async def _run(arguments: argparse.Namespace) -> int:
    seconds, began = arguments.seconds, time.monotonic()
    async with silence() as silent, _deployed(silent, arguments.messages) as deployment:
        tally = deployment.simulator.tally
        await asyncio.to_thread(deployment.publish, _mails(arguments.messages))

        async def taken_in() -> bool:
            ((stored,),) = await deployment.query("SELECT count(*) FROM notifications")
            return stored >= arguments.messages and tally.accepted_total > 0

        async def hangs() -> bool:
            return silent.hanging > 0

        await until(taken_in)
        alone, _, _ = await _sent_in(deployment, silent, seconds)
        await asyncio.to_thread(deployment.publish, _texts())
        await until(hangs)
        disturbed, hanging, connections = await _sent_in(deployment, silent, seconds)
        ((waiting,),) = await deployment.query("SELECT count(*) FROM due WHERE channel = 'email'")
    figures = {
        "sends_per_second": round(alone, 1),
        "sends_while_it_hangs": round(disturbed, 1),
        "share": round(disturbed / alone, 2) if alone else None,
        "hanging": hanging,
        "connections": connections,
        "pool": _POOL,
        "left_to_send": waiting,
        "seconds": round(time.monotonic() - began, 1),
    }
    sys.stdout.write(f"{json.dumps(figures)}\n")
    return 0 if disturbed and hanging and connections <= _POOL else 1


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each of the two phases")
    parser.add_argument("--messages", type=int, default=60_000, help="mails to send, more than can be in that time")
    with suppress(KeyboardInterrupt):
        return asyncio.run(_run(parser.parse_args()))
    return 1


if __name__ == "__main__":
    sys.exit(main())
