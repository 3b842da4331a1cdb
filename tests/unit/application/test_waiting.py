"""What waits for its way out: how much, for what, and since when."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from fn_notifications import EMAIL, SMS, Outcome, OutcomeKind, Scope
from fn_notifications.application.waiting import Queue, queues
from fn_notifications.domain.address import Channel
from fn_notifications.domain.routes import HoldKind, Standing

ANA = {"email": "ana@example.com", "phone": "+15005550006"}
START = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Refusing:
    """A provider that takes nothing, for a reason of this scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def send(self, messages):
        return [Outcome(kind=OutcomeKind.UNSENT, scope=self.scope, code="http_401")] * len(messages)


async def planned(engine, count=1, type_="invoice"):
    await engine.notifications.set_preferences("ana", ANA)
    for number in range(count):
        await engine.notifications.send("ana", type_, {"order": number}, id_=f"{type_}-{number}")


async def what_waits(engine, lanes=None) -> list[Queue]:
    seen = await engine.store.routes.board()
    lanes = engine.notifications.lanes if lanes is None else lanes
    return list(queues(await engine.store.history.backlog("default"), lanes, seen))


async def hold(engine, kind, name=""):
    await engine.store.routes.hold(kind, name, reason="", by="eve")


async def test_where_nothing_waits_there_is_nothing_to_say(engine):
    await planned(engine)
    await engine.run()
    assert await what_waits(engine) == []


async def test_what_waits_for_a_stopped_account_says_so_and_since_when(engine_with, clock):
    """However often it was tried in between."""
    engine = engine_with(Refusing(Scope.ACCOUNT))
    await planned(engine, 2)
    await engine.run()
    clock.advance(minutes=6)
    await engine.run()
    (queue,) = await what_waits(engine)
    assert (queue.channel, queue.deliveries, queue.since) == (EMAIL, 2, START)
    assert queue.causes == ("account memory is shut until 2026-06-01 12:16:00 UTC (it said http_401)",)


async def test_what_was_told_to_wait_names_no_moment_that_has_passed(engine_with, clock):
    engine = engine_with(Refusing(Scope.ACCOUNT))
    await planned(engine)
    await engine.run()
    clock.advance(hours=1)
    ((cause,),) = [queue.causes for queue in await what_waits(engine)]
    assert cause == "account memory was shut since 2026-06-01 12:00:00 UTC (it said http_401); the next call tries it"


@pytest.mark.parametrize(
    ("kind", "name", "what"),
    [
        (HoldKind.TYPE, "invoice", "type invoice"),
        (HoldKind.CHANNEL, "email", "channel email"),
        (HoldKind.ROUTE, "memory/email", "route memory/email"),
        (HoldKind.ALL, "", "everything"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
async def test_what_is_held_says_so_whichever_came_first(engine, clock, kind, name, what, first):
    if first:
        await hold(engine, kind, name)
    await planned(engine, 2)
    if not first:
        await hold(engine, kind, name)
    await engine.run()
    clock.advance(seconds=30)
    (queue,) = await what_waits(engine)
    assert (queue.channel, queue.deliveries, queue.since) == (EMAIL, 2, START)
    assert queue.causes == (f"{what} is held back by eve since 2026-06-01 12:00:00 UTC",)


async def test_what_waits_for_different_things_is_told_apart_the_most_first(engine, clock):
    await hold(engine, HoldKind.TYPE, "invoice")
    await planned(engine, 3)
    await engine.run()
    clock.advance(minutes=1)
    await planned(engine, 1, "shipped")
    assert [(one.channel, one.deliveries, one.since - START) for one in await what_waits(engine)] == [
        (EMAIL, 3, timedelta()),
        (EMAIL, 1, timedelta(minutes=1)),
        (SMS, 1, timedelta(minutes=1)),
    ]


async def test_types_that_wait_for_the_same_wait_together(engine):
    await hold(engine, HoldKind.ALL)
    await planned(engine, 1)
    await planned(engine, 1, "shipped")
    assert [(one.channel, one.deliveries) for one in await what_waits(engine)] == [(EMAIL, 2), (SMS, 1)]


async def test_what_has_only_others_before_it_is_not_said_to_wait_for_another_route(engine):
    await planned(engine)
    (queue,) = await what_waits(engine, {EMAIL: ("memory/email", "other/email")})
    assert queue.causes == ("others are before it: it goes as soon as there is room",)
    await hold(engine, HoldKind.ROUTE, "memory/email")
    (queue,) = await what_waits(engine, {EMAIL: ("memory/email", "other/email")})
    assert queue.causes == ("others are before it: it goes as soon as there is room",)


async def test_a_country_that_is_refused_is_named(engine):
    """Who waits for it is not looked at one by one, but which are refused is known."""
    refusing = Refusing(Scope.DESTINATION)
    lane = engine.dispatch.switchboard.lanes[SMS]
    engine.dispatch.switchboard.lanes = {
        **engine.dispatch.switchboard.lanes,
        SMS: evolve(lane, routes={"memory/sms": refusing}),
    }
    await engine.notifications.set_preferences("ana", ANA)
    await engine.notifications.send("ana", "shipped", {"order": 1}, id_="1", channels=[SMS])
    await engine.run()
    ((cause,),) = [queue.causes for queue in await what_waits(engine)]
    assert cause.startswith("the way to memory/sms+1 is shut until ")
    state = engine.store.state
    state.board = evolve(state.board, stops={})
    ((cause,),) = [queue.causes for queue in await what_waits(engine)]
    assert cause == "nothing is known to be in the way any more"


async def test_a_rate_and_a_missing_provider_are_named(engine):
    await planned(engine)
    board = engine.store.state.board
    engine.store.state.board = evolve(board, standings={"memory/email": Standing(rate=5.0)})
    assert (await what_waits(engine))[0].causes == ("route memory/email takes 5 calls a second and no more",)
    assert (await what_waits(engine, {Channel("sms"): ()}))[0].causes == ("no provider is configured for this channel",)
