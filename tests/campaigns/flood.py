"""A flood of reports against the installed service: are they taken fast, and does sending go on?

    python -m tests.campaigns.flood --seconds 20

The service runs as a process of its own on PostgreSQL and Apache Kafka with the provider simulator. First it sends
for a while undisturbed, then with 5,000 reports a second posted as SendGrid posts them (500 a request) and 300 as
Twilio does, or as many as `--requests` and `--texts` say. One JSON line: `receipts_per_second` posted, `p50_ms` and
`p99_ms` of the answers, `refused` answers, `told` and `stored` reports, `sends_per_second` undisturbed and
`sends_in_flood`, `share` of the two, `left_to_send`, `seconds`. The load, the simulator and the service share this
machine's processors. Ends with 1 when a report was refused or is not stored.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import aiohttp
from attrs import define, field
from tests.services.deployment import Deployment, until
from tests.services.kafka import apache_kafka
from tests.services.postgres import postgres_server
from tests.services.reports import Posted, SendGridWebhookPosts, Told, TwilioWebhookPosts

from fn_notifications.domain.address import EMAIL
from fn_notifications.simulator.server import Simulator

_PEOPLE: Final = 500
_WARM: Final = 200
"""Messages sent before anything is measured."""


@define
class Flood:
    """Posts at a rate, whatever the answers, and notes how long they took."""

    session: aiohttp.ClientSession
    url: str
    took: list[float] = field(factory=list)
    refused: int = 0
    told: int = 0

    async def post(self, requests: Iterator[tuple[int, Posted]], a_second: int, seconds: float) -> None:
        """So many requests a second; each is sent at its time, late ones at once."""
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(int(a_second * seconds)):
                await asyncio.sleep(max(0.0, started + number / a_second - time.monotonic()))
                reports, posted = next(requests)
                self.told += reports
                group.create_task(self._one(posted))

    async def _one(self, posted: Posted) -> None:
        began = time.monotonic()
        async with self.session.post(self.url + posted.path, data=posted.body, headers=posted.headers) as answer:
            self.refused += answer.status // 100 != 2
        self.took.append(time.monotonic() - began)


def _opened(posts: SendGridWebhookPosts, attempts: Sequence[tuple[str, str]]) -> Iterator[tuple[int, Posted]]:
    serial = count()
    while True:
        told = []
        for _ in range(posts.most):
            number = next(serial)
            attempt, to = attempts[number % len(attempts)]
            told.append(Told(word="open", attempt_id=attempt, key=str(number), to=to))
        yield len(told), posts.post(told)


def _texted(posts: TwilioWebhookPosts) -> Iterator[tuple[int, Posted]]:
    for number in count():
        told = Told(word="sent", attempt_id=f"{number:032x}-1-1", key=str(number), to="+15005550100")
        yield 1, posts.post([told])


def _events(first: int, amount: int) -> list[dict[str, Any]]:
    """Each is one mail."""
    return [
        {
            "type": "post.created",
            "id": f"flood-{number}",
            "source": "posts",
            "data": {"user_id": f"user-{number % _PEOPLE}", "post_id": str(number), "title": "A wallet"},
        }
        for number in range(first, first + amount)
    ]


@asynccontextmanager
async def _deployed():
    with tempfile.TemporaryDirectory() as home, apache_kafka() as kafka, postgres_server() as server:
        async with Simulator(keep=1_000_000) as simulator:
            deployment = Deployment(
                database=server.fresh_database(),
                kafka=kafka.bootstrap,
                simulator=simulator,
                directory=Path(home),
                topics=("flood",),
                more={"LOG_LEVEL": "warning"},
            )
            await deployment.prepare()
            await deployment.start()
            try:
                yield deployment
            finally:
                await deployment.stop()


async def _sent_in(deployment: Deployment, seconds: float) -> float:
    """Mails a second that the provider took while this lasted."""
    before, began = deployment.simulator.tally.accepted_total, time.monotonic()
    await asyncio.sleep(seconds)
    return (deployment.simulator.tally.accepted_total - before) / (time.monotonic() - began)


async def _stored(deployment: Deployment) -> int:
    ((stored,),) = await deployment.query("SELECT count(*) FROM receipts")
    return int(stored)


async def _run(arguments: argparse.Namespace) -> int:
    seconds, began = arguments.seconds, time.monotonic()
    async with _deployed() as deployment, aiohttp.ClientSession() as session:
        simulator = deployment.simulator
        people = [
            {
                "type": "user.registered",
                "id": f"r-{n}",
                "source": "users",
                "data": {"user_id": f"user-{n}", "email": f"user-{n}@example.com"},
            }
            for n in range(_PEOPLE)
        ]
        await asyncio.to_thread(deployment.publish, [*people, *_events(0, arguments.messages)])

        async def warm() -> bool:
            return simulator.tally.accepted_total >= _WARM

        await until(warm, within=120)
        alone = await _sent_in(deployment, seconds)
        attempts = [(one.attempt_id, one.to) for one in simulator.messages() if one.channel == EMAIL and one.attempt_id]
        before = await _stored(deployment)
        flood = Flood(session, deployment.url)
        sendgrid = SendGridWebhookPosts(key=simulator._events._key)
        twilio = TwilioWebhookPosts(token=simulator.twilio_auth_token, public_url=deployment.url)
        flooded, *_ = await asyncio.gather(
            _sent_in(deployment, seconds),
            flood.post(_opened(sendgrid, attempts), arguments.requests, seconds),
            flood.post(_texted(twilio), arguments.texts, seconds),
        )
        stored = await _stored(deployment) - before
        waiting = (await deployment.query("SELECT count(*) FROM due"))[0][0]
    percentiles = quantiles(flood.took, n=100)
    figures = {
        "receipts_per_second": round(flood.told / seconds),
        "p50_ms": round(1000 * percentiles[49]),
        "p99_ms": round(1000 * percentiles[98]),
        "refused": flood.refused,
        "told": flood.told,
        "stored": stored,
        "sends_per_second": round(alone, 1),
        "sends_in_flood": round(flooded, 1),
        "share": round(flooded / alone, 2) if alone else None,
        "left_to_send": waiting,
        "seconds": round(time.monotonic() - began, 1),
    }
    sys.stdout.write(f"{json.dumps(figures)}\n")
    return 0 if not flood.refused and stored == flood.told else 1


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each of the two phases")
    parser.add_argument("--messages", type=int, default=20_000, help="to send, more than can be sent in that time")
    parser.add_argument("--requests", type=int, default=10, help="a second, of 500 reports each")
    parser.add_argument("--texts", type=int, default=300, help="a second, of one report each")
    with suppress(KeyboardInterrupt):
        return asyncio.run(_run(parser.parse_args()))
    return 1


if __name__ == "__main__":
    sys.exit(main())
