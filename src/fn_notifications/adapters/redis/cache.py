"""Dossiers kept in a Redis that several processes share. It sees neither a name nor an address: keys are keyed hashes,
values are sealed for their key.

A Redis that cannot be reached, is slow or holds something else costs a moment and a log line, never a batch.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from attrs import define, field
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from fn_notifications.adapters.redis.dossiers import DossierFormat
from fn_notifications.application.errors import Misconfigured, Unavailable
from fn_notifications.application.ports.people import Dossier
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.application.ports.vault import Vault
from fn_notifications.domain.preferences import UserRef

_PREFIX: Final = "fn-notifications:preferences:1:"
"""With the number of the format: processes of different versions do not read each other's."""


@define(kw_only=True)
class RedisPreferenceCache:
    """See `PreferenceCache`. Made by `open_cache`."""

    _client: Redis
    _vault: Vault = field(repr=False)
    _telemetry: Telemetry = field(repr=False)
    ttl: float
    """Seconds."""
    patience: float = 0.5
    """Seconds for one exchange, connecting included."""
    rest: float = 1.0
    """Seconds in which a Redis that failed is not asked again. What must be forgotten is said to it even then."""
    clock: Callable[[], float] = time.monotonic
    _format: DossierFormat = field(factory=DossierFormat, init=False, repr=False)
    _resting_until: float = field(default=0.0, init=False)
    _up: bool = field(default=True, init=False)
    _wondered: bool = field(default=False, init=False)
    """A strange dossier was reported since it last came up."""

    async def get(self, users: Collection[UserRef]) -> Mapping[UserRef, Dossier]:
        """See `PreferenceCache`."""
        keys = {user: self._key(user) for user in users}
        if not keys or self._resting:
            return {}
        found = await self._exchange(self._client.mget(keys.values()))
        if not isinstance(found, list) or len(found) != len(keys):
            return {}
        read = {user: self._read(key, sealed) for (user, key), sealed in zip(keys.items(), found, strict=True)}
        return {user: dossier for user, dossier in read.items() if dossier is not None}

    async def put(self, dossiers: Collection[Dossier]) -> None:
        """See `PreferenceCache`."""
        if not dossiers or self._resting:
            return
        pipeline = self._client.pipeline(transaction=False)
        for dossier in dossiers:
            key = self._key(dossier.profile.user)
            sealed = self._write(key, dossier)
            if sealed is not None:
                pipeline.set(key, sealed, px=self._milliseconds)  # type: ignore[unused-awaitable]  # only queued
        await self._exchange(pipeline.execute())

    async def drop(self, users: Collection[UserRef]) -> None:
        """See `PreferenceCache`."""
        if users:
            await self._exchange(self._client.delete(*map(self._key, users)))

    @property
    def _resting(self) -> bool:
        return self.clock() < self._resting_until

    @property
    def _milliseconds(self) -> int:
        return max(1, int(self.ttl * 1000))

    def _key(self, user: UserRef) -> str:
        named = f"{len(user.tenant)}:{user.tenant}:{user.user_id}"
        return _PREFIX + self._vault.lookup("preference-cache", named).hex()

    def _read(self, key: str, sealed: Any) -> Dossier | None:
        if sealed is None:
            return None
        try:
            return self._format.read(self._vault.open(sealed, key.encode()))
        except Exception as error:  # noqa: BLE001 - whatever cannot be read is not held
            self._wonder("preference_cache.unreadable", error)
            return None

    def _write(self, key: str, dossier: Dossier) -> bytes | None:
        try:
            return self._vault.seal(self._format.write(dossier), key.encode())
        except Exception as error:  # noqa: BLE001 - whatever cannot be written is not held
            self._wonder("preference_cache.unwritable", error)
            return None

    def _wonder(self, event: str, error: Exception) -> None:
        if not self._wondered:
            self._wondered = True
            self._telemetry.log("warning", event, error=type(error).__name__)

    async def _exchange(self, answering: Awaitable[Any]) -> Any:
        """What Redis answers, or None."""
        try:
            async with asyncio.timeout(self.patience):
                answer = await answering
        except Exception as error:  # noqa: BLE001 - what comes from a broken peer is not always a RedisError
            self._resting_until = self.clock() + self.rest
            if self._up:
                self._up = False
                self._telemetry.log("warning", "preference_cache.down", error=type(error).__name__)
            return None
        if not self._up:
            self._up, self._wondered = True, False
            self._telemetry.log("info", "preference_cache.up")
        return answer


@asynccontextmanager
async def open_cache(
    url: str, *, ttl: float, vault: Vault, telemetry: Telemetry, patience: float = 0.5
) -> AsyncIterator[RedisPreferenceCache]:
    """A cache in the Redis at this URL. Connects when it is first used; closes its connections at the end.

    Raises Misconfigured when the URL cannot be one.
    """
    client = _client(url, patience)
    try:
        yield RedisPreferenceCache(client=client, vault=vault, telemetry=telemetry, ttl=ttl, patience=patience)
    finally:
        with suppress(RedisError, OSError):
            await client.aclose()


def _client(url: str, patience: float) -> Redis:
    try:
        # No socket_timeout: on Python 3.11 it makes redis-py swallow a cancellation (asyncio.wait_for, mended in 3.12).
        return Redis.from_url(url, socket_timeout=None, socket_connect_timeout=patience, retry=Retry(NoBackoff(), 0))
    except ValueError:
        raise Misconfigured("REDIS_URL is no redis:// or rediss:// URL") from None


async def ping(url: str, patience: float = 3.0) -> None:
    """Return when the Redis at this URL answers. Raises Unavailable when it does not, Misconfigured for no URL."""
    client = _client(url, patience)
    try:
        async with asyncio.timeout(patience):
            await client.ping()
    except (RedisError, OSError) as error:
        raise Unavailable(f"Redis does not answer: {type(error).__name__}") from None
    finally:
        with suppress(RedisError, OSError):
            await client.aclose()
