"""Outages with the whole service: PostgreSQL killed, failed over and cut off, and a provider that comes back."""

import asyncio
import os
import subprocess
import time
from collections import Counter, deque
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
import pytest
from attrs import define, field
from tests.faults.acts import acting, event, holds, in_status, on_the_provider, reporting, rows, told
from tests.services.deployment import until
from tests.services.postgres import postgres_server, system_programs
from tests.services.proxy import to_database
from tests.services.required import required

from fn_notifications.adapters.postgres.server_user import ServerUser
from fn_notifications.entrypoints.providers.twilio import INBOUND
from fn_notifications.simulator.behaviour import ACCEPTED, EMAILS, Behaviour, Choice

pytestmark = pytest.mark.external


@asynccontextmanager
async def killed(server):
    """PostgreSQL is gone until the block ends."""
    await asyncio.to_thread(server.kill)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


def turned_away(scene):
    """A condition: what comes in is refused with 503, so that its sender tries again."""
    url = f"http://127.0.0.1:{scene.front.port}{INBOUND}"

    async def refused():
        return await scene.simulator.text_in(url, sender="+15005551234", to="+15005550006", body="STOP") == 503

    return refused


FINISHED = """
SELECT count(*) FROM deliveries
WHERE channel = 'email' AND (status = 'delivered' OR status = 'in_doubt' AND due_at = expires_at)
"""


async def nothing_lost_or_doubled(scene, count):
    """Every delivery was called for once. One whose attempt's commit stayed unknown never was: it is held in doubt."""
    found = await rows(scene, "SELECT notification_id, no, status FROM deliveries WHERE channel = 'email'")
    delivered = {f"{id_.hex}-{no}" for id_, no, status in found if status == "delivered"}
    called = [id_.rpartition("-")[0] for call in scene.simulator.calls() for id_ in call.attempts]
    assert sorted(called) == sorted(delivered)
    assert len(found) == count
    assert len(found) - len(delivered) <= count // 4
    assert (await told(scene))[1] == 0


async def test_fault_34_postgres_killed_under_load_loses_nothing(act, server):
    if not server.is_ours:
        pytest.skip("TEST_DATABASE_URL names a server that is not ours to kill")
    async with act(people=100, IN_DOUBT_GRACE="20") as scene:
        (worker,) = scene.workers
        await worker.start()
        for round_ in range(2):
            scene.deployment.publish([event(number, at=round_) for number in range(1, 101)])
            await until(holds(scene, "SELECT count(*) FROM attempts", 100 * round_ + 20))
            async with killed(server):
                await until(turned_away(scene))
        await until(holds(scene, FINISHED, 200), within=120)
        await nothing_lost_or_doubled(scene, 200)
        assert worker.deaths == []


async def test_fault_35_connections_that_lead_nowhere_are_given_up_and_the_work_goes_on(act):
    async with act(people=2, IN_DOUBT_GRACE="60") as scene:
        (worker,) = scene.workers
        await worker.start()
        scene.deployment.publish([event(1)])
        await until(holds(scene, in_status("delivered")))
        worker.database.strand()
        scene.deployment.publish([event(2)])
        await until(holds(scene, in_status("delivered"), 2))
        assert worker.deaths == []
        assert len(scene.simulator.calls()) == 2


@asynccontextmanager
async def standby(primary):
    """A synchronous standby of a server, made by pg_basebackup. Gives its maintenance URL."""
    programs, query = system_programs(), parse_qs(urlsplit(primary.url).query)
    with TemporaryDirectory(prefix="fn-standby-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        os.chmod(name, 0o711)  # noqa: PTH101 - of a path this is taken for slow
        data, sockets = directory / "data", directory / "sockets"
        user = ServerUser.for_data(data)
        for each in (data, sockets):
            each.mkdir(0o700)
            user.own(each)
        copy = [programs / "pg_basebackup", "-h", query["host"][0], "-p", query["port"][0], "-U", "postgres"]
        with user.spawn([*copy, "-D", ".", "-R", "-X", "stream", "-c", "fast"], cwd=data) as copying:
            assert await asyncio.to_thread(copying.wait, 60) == 0
        options = {"listen_addresses": "", "unix_socket_directories": str(sockets), "port": "5432", "fsync": "off"}
        command = [programs / "postgres", "-D", user.name_for(data)]
        command += [part for option, value in options.items() for part in ("-c", f"{option}={value}")]
        with user.spawn(command, cwd=data) as server:
            guard = user.spawn(["sh", "-c", f"read -r _; kill -9 {server.pid}"], cwd=directory, stdin=subprocess.PIPE)
            try:
                url = f"postgresql://postgres@/postgres?host={quote(str(sockets))}&port=5432"
                await until(lambda: answers(url, "SELECT true"))
                yield url
            finally:
                server.kill()
                guard.kill()
                guard.communicate()


async def answers(url, question):
    """Whether a server says yes."""
    with suppress(psycopg.OperationalError):
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            ((said,),) = await (await connection.execute(question)).fetchall()
            return said
    return False


async def ask(url, *statements):
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for statement in statements:
            await connection.execute(statement)


async def test_fault_35_failover_to_a_synchronous_standby_loses_nothing_and_sends_nothing_twice(broker, tmp_path):
    with required(LookupError), postgres_server("system") as primary:
        async with acting(primary, broker, tmp_path, people=60, IN_DOUBT_GRACE="20") as scene, standby(primary) as url:
            await ask(primary.url, "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
            in_step = "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
            await until(lambda: answers(primary.url, in_step))
            (worker,) = scene.workers
            await worker.start()
            await reporting(scene)
            scene.deployment.publish([event(number, at=1) for number in range(1, 61)])
            await until(on_the_provider(scene, 20))
            old = scene.deployment.database
            await asyncio.to_thread(primary.kill)
            worker.database.cut()
            await ask(url, "SELECT pg_promote()")
            scene.deployment.database = url.replace("/postgres?", urlsplit(old).path + "?")
            worker.database.connect = to_database(url)
            worker.database.heal()
            await until(holds(scene, FINISHED, 61), within=120)
            await nothing_lost_or_doubled(scene, 61)
            assert worker.deaths == []
            # Nobody waits for the standby any longer; its database is given back on the primary.
            await worker.kill()
            await asyncio.to_thread(primary.start)
            await ask(primary.url, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")


@define
class Limited(Choice):
    """A provider that is down at first, and then takes so many messages a second and refuses the others with 429."""

    limit: int
    down: bool = True
    met: Counter[str] = field(factory=Counter)
    _latest: deque[float] = field(factory=deque)

    def of(self, address: str) -> Behaviour:
        now = time.monotonic()
        while self._latest and self._latest[0] < now - 1:
            self._latest.popleft()
        if self.down:
            return self._meet("unavailable")
        if len(self._latest) >= self.limit:
            return self._meet("throttled")
        self._latest.append(now)
        return ACCEPTED

    def _meet(self, word: str) -> Behaviour:
        self.met[word] += 1
        return EMAILS[word]


async def test_fault_45_a_provider_that_comes_back_is_not_stormed(act):
    provider = Limited(limit=30)
    more = {"EMAIL_RATE": "15", "CIRCUIT_BREAKER_FAILURE_THRESHOLD": "20"}
    async with act(choice=provider, workers=2, people=150, **more) as scene:
        await asyncio.gather(*(worker.start() for worker in scene.workers))
        scene.deployment.publish([event(number) for number in range(1, 151)])
        await until(holds(scene, "SELECT count(*) FROM due WHERE status = 'pending'", 150))
        await until(holds(scene, "SELECT count(*) FROM attempts", 20))
        waiting = []

        async def some_wait():
            waiting[:] = await rows(scene, "SELECT due_at FROM deliveries WHERE reason = 'lane_waits'")
            return len(waiting) > 5

        await until(some_wait)
        assert len(set(waiting)) > len(waiting) // 2, "they do not all come back at once"
        provider.down = False
        await until(holds(scene, in_status("delivered"), 150), within=120)
        assert provider.met["throttled"] == 0
        assert sum(call.accepted for call in scene.simulator.calls()) == 150
        assert await told(scene) == (0, 0)
