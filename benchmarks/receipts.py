"""Reports from a provider, from their first byte to what they change: the roles `http` and `receipts`."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import aiohttp
import psycopg
from attrs import evolve
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.services.deployment import until

from benchmarks.figures import Figures, Meter
from benchmarks.product import NOBODY, environment, serving
from benchmarks.stock import Stock, gone, size_of
from fn_notifications.adapters.sendgrid.webhook import SIGNATURE_HEADER, TIMESTAMP_HEADER
from fn_notifications.domain.identity import attempt_id
from fn_notifications.entrypoints.embedded import free_port
from fn_notifications.entrypoints.providers.sendgrid import PATH

_BATCH = 100
_POSTERS = 4
_ATTEMPTS = "SELECT notification_id, delivery_no, no FROM attempts"
_WAITING = "SELECT count(*) FROM receipts WHERE look_at IS NOT NULL"


async def receipts(stock: Stock, count: int) -> Figures:
    """Signed batches of `delivered`, posted, stored and applied."""
    ground, port = stock.ground, free_port()
    key = ec.generate_private_key(ec.SECP256R1())
    public = b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    async with stock.settled(count) as url:
        posts = iter([_signed(batch, key) for batch in _batches(url)])
        told = environment(
            ground.directory,
            database=url,
            provider=NOBODY,
            roles="http,receipts",
            PORT=str(port),
            PUBLIC_HOST="127.0.0.1",
            SENDGRID_WEBHOOK_PUBLIC_KEY=public,
        )
        async with serving(ground, "receipts", told) as service, aiohttp.ClientSession() as session:

            async def answers() -> bool:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    return not service.alive()
                writer.close()
                return True

            await until(answers)
            posted = 0

            async def post() -> None:
                nonlocal posted
                for body, headers in posts:
                    async with session.post(f"http://127.0.0.1:{port}{PATH}", data=body, headers=headers) as answer:
                        answer.raise_for_status()
                    posted += _BATCH

            meter = Meter(units=lambda: posted, cpu={"worker": service.cpu, "postgres": ground.postgres_cpu})
            before, first = size_of(url), meter.read()
            async with asyncio.TaskGroup() as group:
                for _ in range(_POSTERS):
                    group.create_task(post())
            await gone(url, _WAITING)
            found = meter.read().since(first)
            stored, logged = (after - then for after, then in zip(size_of(url), before, strict=True))
            return evolve(found, more={"bytes_kept": stored / count, "wal_bytes": logged / count})


def _batches(url: str) -> Iterator[bytes]:
    with psycopg.connect(url) as connection:
        ids = [attempt_id(*row) for row in connection.execute(_ATTEMPTS)]
    for start in range(0, len(ids), _BATCH):
        yield json.dumps([_delivered(one) for one in ids[start : start + _BATCH]]).encode()


def _delivered(attempt: str) -> Mapping[str, object]:
    return {
        "event": "delivered",
        "email": "somebody@example.com",
        "timestamp": int(datetime.now(UTC).timestamp()),
        "sg_event_id": f"event-{attempt}",
        "sg_message_id": "message.recvd-0",
        "attempt_id": attempt,
    }


def _signed(body: bytes, key: ec.EllipticCurvePrivateKey) -> tuple[bytes, Mapping[str, str]]:
    timestamp = str(int(datetime.now(UTC).timestamp()))
    signature = b64encode(key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))).decode()
    return body, {SIGNATURE_HEADER: signature, TIMESTAMP_HEADER: timestamp, "Content-Type": "application/json"}
