"""Every cache against the one contract, and the contract against broken ones."""

import pytest
from attrs import evolve
from tests.services.redis import Clock, age, caching, looking_into, serving

from fn_notifications.adapters.memory.cache import MemoryPreferenceCache
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.testing.contracts.cache import TTL, PreferenceCacheContract, Subject, dossier


@pytest.fixture
def port():
    with serving() as port:
        yield port


@pytest.fixture
def telemetry():
    return MemoryTelemetry()


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
        assert list(telemetry.lines) == []


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
