"""Every cache against the one contract, the contract against broken ones, and Redis against what may befall it."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from attrs import define, evolve
from fakeredis import TcpFakeServer
from redis.asyncio import Redis

from fn_notifications.adapters.memory.cache import MemoryPreferenceCache
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.adapters.memory.vault import MemoryVault
from fn_notifications.adapters.redis.cache import open_cache
from fn_notifications.adapters.vault.aes import AesVault
from fn_notifications.adapters.vault.keys import derive_keys
from fn_notifications.application.errors import Misconfigured
from fn_notifications.testing.contracts.cache import TTL, PreferenceCacheContract, Subject, dossier

VAULT = AesVault(derive_keys(b"a secret of the tests, long enough"))


@define
class Clock:
    now: float = 1000.0

    def __call__(self):
        return self.now

    async def move(self, seconds):
        self.now += seconds


@pytest.fixture(scope="module")
def server():
    with serving() as url:
        yield url
