"""Every cache against the one contract, the contract against broken ones, and Redis against what may befall it."""

import asyncio
import re
import threading
from contextlib import asynccontextmanager, contextmanager

import pytest
from attrs import define, evolve
from fakeredis import TcpFakeServer
from redis.asyncio import Redis

from fn_notifications.adapters.memory.cache import MemoryPreferenceCache
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.adapters.redis.cache import open_cache
from fn_notifications.adapters.vault.aes import AesVault
from fn_notifications.adapters.vault.keys import derive_keys
from fn_notifications.application.errors import Misconfigured
from fn_notifications.domain.preferences import Known, Source
from fn_notifications.testing.contracts.cache import TTL, PreferenceCacheContract, Subject, dossier

VAULT = AesVault(derive_keys(b"a secret of the tests, long enough"))
PATIENT = 10.0
"""Seconds, where nothing but a slow machine could be waited for."""


@define
class Clock:
    now: float = 1000.0

    def __call__(self):
        return self.now

    async def move(self, seconds):
        self.now += seconds


@contextmanager
def serving(port=0):
    """A Redis on loopback, over TCP. Gives its port."""
    server = TcpFakeServer(("127.0.0.1", port), bind_and_activate=False)
    server.allow_reuse_address = True
    server.server_bind()
    server.server_activate()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@asynccontextmanager
async def talking(speak):
    """A server on loopback that does with every connection what `speak(reader, writer)` does. Gives its port."""
    tasks = set()

    async def handle(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            await speak(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@pytest.fixture
def port():
    with serving() as port:
        yield port


@pytest.fixture
def telemetry():
    return MemoryTelemetry()


@asynccontextmanager
async def caching(port, telemetry, *, patience=PATIENT, vault=VAULT):
    url = f"redis://127.0.0.1:{port}/0"
    async with open_cache(url, ttl=TTL, vault=vault, telemetry=telemetry, patience=patience) as cache:
        cache.clock = Clock()
        yield cache


@asynccontextmanager
async def looking_into(port):
    """A plain client, to see and do what nobody should."""
    async with Redis.from_url(f"redis://127.0.0.1:{port}/0") as client:
        yield client


async def age(client, seconds):
    """Let time pass in Redis, by taking it off what every key has left."""
    for key in await client.keys("*"):
        left = await client.pttl(key)
        if left >= 0:
            await client.pexpire(key, max(0, left - int(seconds * 1000)))


def said(telemetry):
    return [line.event for line in telemetry.lines]


class TestMemoryPreferenceCache(PreferenceCacheContract):
    @pytest.fixture
    def subject(self):
        clock = Clock()
        return Subject(cache=MemoryPreferenceCache(TTL, clock), pass_time=clock.move)


class TestRedisPreferenceCache(PreferenceCacheContract):
    @pytest.fixture
    async def subject(self, port, telemetry):
        async with caching(port, telemetry) as cache, looking_into(port) as client:
            yield Subject(cache=cache, pass_time=lambda seconds: age(client, seconds))
        assert said(telemetry) == []


class IgnoresTheTtl(MemoryPreferenceCache):
    def _fresh(self, user):
        return self._held.get(user, (0, None))[1]


class IsKeptYoungByReading(MemoryPreferenceCache):
    async def get(self, users):
        found = await super().get(users)
        await self.put(found.values())
        return found


class DropsNothing(MemoryPreferenceCache):
    async def drop(self, users):
        pass


class MixesTenantsUp(MemoryPreferenceCache):
    def _fresh(self, user):
        names = {held.tenant + held.user_id: held for held in self._held}
        return super()._fresh(names.get(user.tenant + user.user_id, user))


class LosesMicroseconds(MemoryPreferenceCache):
    async def put(self, dossiers):
        await super().put(
            evolve(
                one,
                profile=evolve(
                    one.profile,
                    fields={
                        name: evolve(known, at=known.at.replace(microsecond=0))
                        for name, known in one.profile.fields.items()
                    },
                ),
            )
            for one in dossiers
        )


@pytest.mark.parametrize(
    ("broken", "by"),
    [
        (IgnoresTheTtl, "test_a_dossier_grows_too_old"),
        (IsKeptYoungByReading, "test_a_dossier_grows_too_old"),
        (DropsNothing, "test_what_was_dropped_is_gone"),
        (MixesTenantsUp, "test_tenants_are_kept_apart"),
        (LosesMicroseconds, "test_what_was_put_comes_back_equal"),
    ],
)
async def test_the_contract_refuses_what_is_broken(broken, by):
    clock = Clock()
    subject = Subject(cache=broken(TTL, clock), pass_time=clock.move)

    with pytest.raises(AssertionError):
        await getattr(PreferenceCacheContract(), by)(subject)


async def test_the_contract_refuses_a_redis_whose_keys_never_expire(port, telemetry):
    async with caching(port, telemetry) as cache, looking_into(port) as client:
        plain_put = cache.put

        async def put(dossiers):
            await plain_put(dossiers)
            for key in await client.keys("*"):
                await client.persist(key)

        cache_without_end = type("Endless", (), {"get": cache.get, "put": staticmethod(put), "drop": cache.drop})()
        subject = Subject(cache=cache_without_end, pass_time=lambda seconds: age(client, seconds))
        with pytest.raises(AssertionError):
            await PreferenceCacheContract().test_a_dossier_grows_too_old(subject)


async def test_a_full_memory_forgets_whoever_was_not_asked_for_the_longest():
    cache = MemoryPreferenceCache(TTL, Clock(), size=2)
    one, two, three = (dossier(f"u-{number}") for number in (1, 2, 3))
    users = [each.profile.user for each in (one, two, three)]

    await cache.put([one, two])
    await cache.get(users[:1])
    await cache.put([three])
    assert set(await cache.get(users)) == {users[0], users[2]}

    await cache.put([one])
    await cache.put([two])
    assert set(await cache.get(users)) == {users[0], users[1]}


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


async def _silence(reader, writer):
    await asyncio.Event().wait()


def _saying(answer):
    """A peer that greets like a Redis, and answers every question with this."""

    async def speak(reader, writer):
        while asked := await reader.read(65536):
            for name in re.findall(rb"\*\d+\r\n\$\d+\r\n(\w+)\r\n", asked):
                writer.write(_GREETINGS.get(name, answer))
            await writer.drain()

    return speak


_GREETINGS = {b"HELLO": b"%1\r\n+proto\r\n:3\r\n", b"CLIENT": b"+OK\r\n"}


async def test_a_redis_that_does_not_answer_is_given_up(telemetry):
    async with talking(_silence) as port, caching(port, telemetry, patience=0.05) as cache:
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
    async with talking(_saying(answer)) as port, caching(port, telemetry, patience=0.05) as cache:
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
