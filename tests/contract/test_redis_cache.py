"""The cache in Redis, and what may befall a Redis."""

import asyncio

import pytest
from attrs import evolve
from tests.services.redis import VAULT, caching, looking_into, saying, serving, silence, talking

from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.adapters.redis.cache import open_cache
from fn_notifications.adapters.vault.aes import AesVault
from fn_notifications.adapters.vault.keys import derive_keys
from fn_notifications.application.errors import Misconfigured
from fn_notifications.domain.preferences import Known, Source
from fn_notifications.testing.contracts.cache import TTL, dossier


@pytest.fixture
def port():
    with serving() as port:
        yield port


@pytest.fixture
def telemetry():
    return MemoryTelemetry()


def said(telemetry):
    return [line.event for line in telemetry.lines]


async def test_redis_sees_neither_names_nor_addresses(port, telemetry):
    async with caching(port, telemetry) as cache, looking_into(port) as client:
        await cache.put([dossier("canary-name", "canary-tenant")])
        (key,) = await client.keys("*")
        seen = key + await client.get(key)

    for canary in (b"canary", b"example.com", b"5550006", b"Berlin", b"email", b"22:00"):
        assert canary not in seen


async def test_another_key_ring_reads_nothing(port, telemetry):
    other = AesVault(derive_keys(b"another secret of the tests"))
    async with caching(port, telemetry) as cache, caching(port, telemetry, vault=other) as stranger:
        await cache.put([dossier()])
        assert await stranger.get([dossier().profile.user]) == {}


@pytest.mark.parametrize("garbage", [b"", b"\0", b"{}", b"x" * 100_000, b"a list", b"somebody else's"])
async def test_garbage_is_nothing_said_once_and_replaced(port, telemetry, garbage):
    user = dossier().profile.user
    async with caching(port, telemetry) as cache, looking_into(port) as client:
        await cache.put([dossier(), dossier("u-2")])
        key, other = cache._key(user), cache._key(dossier("u-2").profile.user)
        if garbage == b"a list":
            await client.delete(key)
            await client.rpush(key, "x")
        else:
            await client.set(key, await client.get(other) if garbage == b"somebody else's" else garbage)

        assert set(await cache.get([user, dossier("u-2").profile.user])) == {dossier("u-2").profile.user}
        assert await cache.get([user]) == {}
        assert said(telemetry) == ([] if garbage == b"a list" else ["preference_cache.unreadable"])

        await cache.put([dossier()])
        assert await cache.get([user]) == {user: dossier()}


async def test_what_json_has_no_form_for_is_not_kept_and_the_rest_is(port, telemetry):
    odd = dossier("u-odd")
    at = odd.profile.fields["email"].at
    odd = evolve(odd, profile=evolve(odd.profile, fields={"x": Known({1, 2}, Source.USER, at)}))
    async with caching(port, telemetry) as cache:
        await cache.put([odd, dossier()])
        assert list(await cache.get([odd.profile.user, dossier().profile.user])) == [dossier().profile.user]

    assert said(telemetry) == ["preference_cache.unwritable"]


async def test_a_redis_that_goes_and_comes_back_is_said_once_each(telemetry):
    user = dossier().profile.user
    with serving() as port:
        async with caching(port, telemetry) as cache:
            await cache.put([dossier()])
            assert await cache.get([user]) == {user: dossier()}
    async with caching(port, telemetry) as cache:
        for _ in range(3):
            assert await cache.get([user]) == {}
            await cache.put([dossier()])
            await cache.drop([user])
            await cache.clock.move(60)
        assert said(telemetry) == ["preference_cache.down"]
        with serving(port):
            await cache.put([dossier()])
            assert await cache.get([user]) == {user: dossier()}
            assert said(telemetry) == ["preference_cache.down", "preference_cache.up"]


async def test_a_redis_lost_in_mid_conversation_is_nothing(port, telemetry):
    user = dossier().profile.user
    async with caching(port, telemetry) as cache:
        await cache.put([dossier()])
        async with looking_into(port) as client:
            await client.client_kill_filter(_type="normal", skipme=True)
        await cache.get([user])
        await cache.clock.move(60)
        await cache.put([dossier()])
        await cache.clock.move(60)
        await cache.put([dossier()])
        assert await cache.get([user]) == {user: dossier()}


async def test_a_redis_that_does_not_answer_is_given_up(telemetry):
    async with talking(silence) as port, caching(port, telemetry, patience=0.05) as cache:
        assert await cache.get([dossier().profile.user]) == {}
        await cache.drop([dossier().profile.user])

    assert [(line.event, line.fields["error"]) for line in telemetry.lines] == [
        ("preference_cache.down", "TimeoutError")
    ]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0\xff\xfe\r\n",
        b"*-5\r\n",
        b"*1\r\n$3\r\nabc\r\n",
        b"$999999999999\r\n",
        b":notanumber\r\n",
        b"-ERR no\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"+OK\r\n",
        b"*3\r\n:1\r\n:2\r\n:3\r\n",
    ],
)
async def test_a_peer_that_talks_nonsense_is_nothing(telemetry, answer):
    async with talking(saying(answer)) as port, caching(port, telemetry, patience=0.05) as cache:
        for _ in range(2):
            assert await cache.get([dossier().profile.user]) == {}
            await cache.clock.move(60)
            await cache.put([dossier()])
            await cache.clock.move(60)
            await cache.drop([dossier().profile.user])
            await cache.clock.move(60)

    assert "canary" not in str(telemetry.lines)
    assert said(telemetry).count("preference_cache.down") <= said(telemetry).count("preference_cache.up") + 1


async def test_a_redis_that_failed_is_left_alone_for_a_moment_but_told_what_to_forget(telemetry):
    connections = []

    async def refuse(reader, writer):
        connections.append(1)

    user = dossier().profile.user
    async with talking(refuse) as port, caching(port, telemetry) as cache:
        await cache.get([user])
        seen = len(connections)
        await cache.get([user])
        await cache.put([dossier()])
        assert len(connections) == seen
        await cache.drop([user])
        assert len(connections) > seen
        seen = len(connections)
        await cache.clock.move(cache.rest)
        await cache.get([user])
        assert len(connections) > seen


async def test_a_cancelled_question_stays_cancelled_and_harms_nobody(port, telemetry):
    user = dossier().profile.user
    async with caching(port, telemetry) as cache:
        await cache.put([dossier()])
        for _ in range(5):
            asked = asyncio.create_task(cache.get([user]))
            await asyncio.sleep(0)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            assert await cache.get([user]) == {user: dossier()}


@pytest.mark.parametrize("url", ["http://example.com", "nonsense", "redis://user:canary@127.0.0.1:port/0"])
async def test_a_url_that_is_none_is_refused_without_being_quoted(url, telemetry):
    with pytest.raises(Misconfigured) as refused:
        async with open_cache(url, ttl=TTL, vault=VAULT, telemetry=telemetry):
            pass

    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None
