"""The doors: only what is genuine is stored, and only what is stored is answered with 2xx."""

import io
from datetime import UTC, datetime

import pytest
from aiohttp.test_utils import TestClient, TestServer

from fn_notifications.adapters.local.sender import LocalMailbox
from fn_notifications.adapters.memory.store import MemoryStore
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.inbox import Inbox
from fn_notifications.domain.receipts import Receipt, ReceiptKind
from fn_notifications.entrypoints.http.app import LARGEST_BODY, application
from fn_notifications.entrypoints.http.doors import Door

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def read(incoming):
    if incoming.headers.get("X-Signature") != "genuine":
        return None
    words = incoming.body.decode().split()
    return [Receipt(provider="p", key=word, kind=ReceiptKind.DELIVERED, at=incoming.now) for word in words]


@pytest.fixture
def store():
    return MemoryStore(clock=lambda: NOW)


@pytest.fixture
def seen():
    return []


@pytest.fixture
async def client(store, seen):
    def noting(incoming):
        seen.append(incoming.url)
        return read(incoming)

    door = Door(
        provider="p",
        path="/api/webhooks/p",
        read=noting,
        inbox=Inbox(store.receipts),
        telemetry=MemoryTelemetry(),
        clock=lambda: NOW,
        public_url="https://notifications.example.com",
    )
    async with TestClient(TestServer(application([door], LocalMailbox()))) as client:
        yield client


GENUINE = {"X-Signature": "genuine"}


async def test_a_genuine_report_is_stored_once_however_often_it_comes(client, store):
    for _ in range(3):
        answer = await client.post("/api/webhooks/p", data=b"one two", headers=GENUINE)
        assert answer.status == 204
    assert len(store.state.inbox) == 2


async def test_a_forged_report_is_refused_and_changes_nothing(client, store):
    answer = await client.post("/api/webhooks/p", data=b"one", headers={"X-Signature": "forged"})
    assert answer.status == 401
    assert store.state.inbox == []


async def test_what_could_not_be_stored_is_asked_for_again(client, store, monkeypatch):
    async def down(_):
        raise Unavailable("down")

    monkeypatch.setattr(type(store.receipts), "receive", lambda _, reports: down(reports))
    answer = await client.post("/api/webhooks/p", data=b"one", headers=GENUINE)
    assert (answer.status, answer.headers["Connection"]) == (503, "close")


async def test_the_signature_is_checked_against_the_public_address_whatever_a_proxy_made_of_it(client, seen):
    await client.post("/api/webhooks/p?attempt=a%20b", data=b"one", headers={**GENUINE, "Host": "internal:4000"})
    assert seen == ["https://notifications.example.com/api/webhooks/p?attempt=a%20b"]


async def test_a_body_beyond_the_limit_is_refused(client, store):
    answer = await client.post("/api/webhooks/p", data=io.BytesIO(b"x" * (LARGEST_BODY + 1)), headers=GENUINE)
    assert answer.status == 413
    assert store.state.inbox == []


async def test_the_probe_answers_and_the_mailbox_is_shown(client):
    assert await (await client.get("/api/health/live")).json() == {"status": "alive"}
    page = await client.get("/")
    assert page.status == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


async def test_without_a_mailbox_there_is_no_page():
    async with TestClient(TestServer(application([], None))) as client:
        assert (await client.get("/mailbox")).status == 404
