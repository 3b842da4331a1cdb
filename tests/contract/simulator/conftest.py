"""A simulator, and a door for its reports."""

from collections.abc import AsyncIterator, Mapping

import aiohttp
import pytest
from aiohttp import web
from attrs import define, field, frozen

from fn_notifications.simulator.server import Simulator


@frozen
class Post:
    """One webhook request as it came."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@define
class Door:
    """Takes reports; answers with the next of `answers`, then with 204."""

    url: str = ""
    answers: list[int] = field(factory=list)
    posts: list[Post] = field(factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.posts.append(Post(str(request.url), dict(request.headers), await request.read()))
        return web.Response(status=self.answers.pop(0) if self.answers else 204)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    application = web.Application()
    application.router.add_post("/{path:.*}", door.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    door.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield door
    await runner.cleanup()


@pytest.fixture
async def simulator(door: Door) -> AsyncIterator[Simulator]:
    async with Simulator(sendgrid_webhook_url=f"{door.url}/sendgrid", pause=0.01, repeats=(0.0, 0.0)) as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened
