"""A stage for faults of real processes: people, events, and questions about what has become of them."""

import json
from contextlib import asynccontextmanager
from functools import partial

import psycopg
import pytest
from attrs import define, field
from tests.chaos.witness import WITNESS
from tests.services.deployment import until
from tests.services.kafka import MissingKafkaError
from tests.services.postgres import postgres_server
from tests.services.required import required
from tests.services.stage import IMPATIENT, proxied_kafka, stage

from fn_notifications.application.errors import MissingExtra
from fn_notifications.domain.events import Evidence
from fn_notifications.simulator.behaviour import ACCEPTED, Act, Behaviour, Choice
from fn_notifications.simulator.server import Simulator

SILENT_HANG = Behaviour(what="accepted, never answered, never reported on", act=Act.HANG, reports=())
PATIENT = {"DELIVERY_LEASE": "60", "EMAIL_POOL_TIMEOUT_MS": "50000"}
HOLD, RESEND = "post.created", "post.matched"
"""Events whose types leave a doubt to an operator, and resend it."""


@define
class Script(Choice):
    """What messages to an address meet, one after the other; then all goes well."""

    of_address: dict[str, list[Behaviour]] = field(factory=dict)

    def of(self, address: str) -> Behaviour:
        left = self.of_address.get(address)
        return left.pop(0) if left else ACCEPTED


@pytest.fixture(scope="session")
def server():
    with required(LookupError, MissingExtra), postgres_server() as running:
        yield running


@pytest.fixture(scope="session")
def broker():
    with required(MissingKafkaError), proxied_kafka() as running:
        yield running


@pytest.fixture
def act(server, broker, tmp_path):
    """`acting` on the suite's own PostgreSQL and Apache Kafka."""
    return partial(acting, server, broker, tmp_path)


@asynccontextmanager
async def acting(server, broker, directory, script=None, *, choice=None, workers=1, people=3, **more):
    """A stage with people; `script` says what messages to a person (by number) meet."""
    choice = choice or Script({email(number): list(met) for number, met in (script or {}).items()})
    async with (
        Simulator(choice=choice, repeats=(0.5,) * 100) as simulator,
        stage(server, broker, directory, simulator, workers=workers, **IMPATIENT | more) as scene,
    ):
        async with await psycopg.AsyncConnection.connect(scene.deployment.database, autocommit=True) as direct:
            await direct.execute(WITNESS)
        file = directory / "people.jsonl"
        file.write_text("\n".join(json.dumps(person(number)) for number in range(1, people + 1)))
        await scene.deployment.command("preferences", str(file))
        yield scene


def email(number):
    return f"resident{number}@example.com"


def person(number):
    return {
        "user_id": f"u-{number}",
        "email": email(number),
        "channel_preferences": {"email": {"enabled": True}, "sms": {"enabled": False}},
    }


def event(number, kind=HOLD, at=0):
    who = "reporter_id" if kind == RESEND else "user_id"
    return {
        "event_type": kind,
        "event_id": f"{kind}-{number}-{at}",
        "source_service": "fn-posts",
        "data": {who: f"u-{number}", "post_id": f"post-{number}-{at}", "match_id": f"match-{number}-{at}"},
    }


async def rows(scene, statement):
    return await scene.deployment.query(statement)


def holds(scene, statement, count=1):
    """A condition: a statement's only number has reached `count`."""

    async def reached():
        ((found,),) = await rows(scene, statement)
        return found >= count

    return reached


OPEN_ATTEMPTS = f"SELECT count(*) FROM attempts WHERE evidence = {Evidence.OPEN}"
DOUBTS = "SELECT count(DISTINCT (notification_id, delivery_no, no)) FROM seen_doubts"
WAITING_FOR_LOCKS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'fn-notifications'
"""


def in_status(status):
    return f"SELECT count(*) FROM deliveries WHERE status = '{status}' AND channel = 'email'"


async def told(scene):
    """How many doubts were opened, and how many of them resent."""
    ((doubts,),) = await rows(scene, DOUBTS)
    ((resends,),) = await rows(scene, "SELECT coalesce(sum(resends), 0) FROM deliveries")
    return doubts, resends


@asynccontextmanager
async def locking(scene, statement):
    """Row locks that somebody else holds until the block ends."""
    async with await psycopg.AsyncConnection.connect(scene.deployment.database) as connection:
        await connection.execute(statement)
        yield
        await connection.rollback()


def on_the_wire(scene, count=1):
    """A condition: so many calls have arrived and wait for their answer."""

    async def waiting():
        return sum(call.ended_at is None for call in scene.simulator.calls()) >= count

    return waiting


def on_the_provider(scene, count):
    """A condition: so many calls have been answered, wherever the answers are."""

    async def answered():
        return sum(call.ended_at is not None for call in scene.simulator.calls()) >= count

    return answered


async def reporting(scene):
    """Have the provider report on somebody's message: one that never does is not waited for."""
    scene.deployment.publish([event(3)])
    await until(holds(scene, in_status("delivered")))
