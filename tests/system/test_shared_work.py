"""One service in several processes: they share the work, are replaced when they die, and none outlives the first."""

import asyncio
import os
import re
import signal

import pytest
from tests.services.deployment import until

pytestmark = pytest.mark.external

PERSON = {"user_id": "user-1", "email": "somebody@example.com"}


def event(number: int) -> dict:
    data = {"post_id": f"p-{number}", "title": "Keys", "claimer_id": f"claimer-{number}", "user_id": "user-1"}
    return {"event_type": "post.claimed", "event_id": f"shared-{number}", "source_service": "fn-posts", "data": data}


def workers(deployment) -> list[int]:
    """The processes that were started for the work, in order."""
    return [int(pid) for pid in re.findall(r"process\.started\s+pid=(\d+)", deployment.log.read_text())]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def started(deployment, count: int) -> bool:
    return deployment.log.read_text().count("service.started") == count


async def test_processes_share_the_work_and_one_that_dies_is_replaced(deploy):
    async with deploy(PROCESSES="2") as deployment:
        await deployment.start()
        first = workers(deployment)
        assert len(first) == 2
        await until(lambda: started(deployment, 2))
        os.kill(first[1], signal.SIGKILL)

        async def replaced() -> bool:
            return len(workers(deployment)) == 3

        await until(replaced)
        deployment.publish([event(number) for number in range(20)])
        await until(lambda: deployment.settled(20))
        sent = [call.attempt_id for call in deployment.simulator.messages()]
        assert len(sent) == len(set(sent))
        assert "process.died" in deployment.log.read_text()
        await deployment.stop()
        assert deployment.process.returncode == 0
        assert not any(alive(pid) for pid in workers(deployment))


async def test_no_process_outlives_the_one_that_started_it(deploy):
    async with deploy(PROCESSES="2") as deployment:
        await deployment.start()
        left = workers(deployment)
        await deployment.stop(signal.SIGKILL)

        async def gone() -> bool:
            return not any(alive(pid) for pid in left)

        assert len(left) == 2
        await until(gone)


async def test_what_gives_up_at_its_start_ends_all_with_its_exit_code(deploy):
    async with deploy(PROCESSES="2") as deployment:
        taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", deployment.port)
        async with taken, asyncio.timeout(60):
            await deployment.command("serve", codes=(2,))
