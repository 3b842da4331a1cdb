"""An operator's word about many doubts at once."""

from datetime import timedelta

import pytest

from fn_notifications import Outcome, OutcomeKind, Status
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.application import rulings as many
from fn_notifications.application.rulings import Rulings, Selection
from fn_notifications.domain.commands import Remedy, Resolve, Settle
from fn_notifications.domain.errors import InvalidValue
from fn_notifications.domain.events import Ruling
from fn_notifications.domain.reasons import Reason


class Lost:
    """Every answer is."""

    async def send(self, messages):
        return [Outcome(kind=OutcomeKind.IN_DOUBT, code="timeout")] * len(messages)


@pytest.fixture
async def engine(engine_with):
    """Five deliveries in doubt, the first four of which wait for an operator."""
    engine = engine_with(Lost())
    await engine.notifications.set_preferences("ana", {"email": "ana@example.com"})
    for number in range(5):
        await engine.notifications.send("ana", "invoice", {"order": number}, id_=str(number))
    await engine.run()
    keys = sorted(engine.store.state.deliveries, key=lambda key: key.notification_id)
    await engine.store.deliveries.change(keys[:4], lambda *_: Settle(remedy=Remedy.HOLD))
    engine.clock.advance(minutes=1)
    return engine


@pytest.fixture
def rulings(engine):
    return Rulings(
        history=engine.store.history,
        deliveries=engine.store.deliveries,
        telemetry=MemoryTelemetry(),
        tenant="default",
        by="eve",
    )


def states(engine):
    return sorted(str(one.status) for one in engine.store.state.deliveries.values())


@pytest.mark.parametrize("page", [1, 3, 500])
async def test_everything_that_waits_is_resolved_whatever_the_pages(engine, rulings, page, monkeypatch):
    monkeypatch.setattr(many, "_PAGE", page)
    doubts = Selection(before=engine.clock.now)
    assert await rulings.count(doubts) == 4
    assert await rulings.resolve(doubts, Ruling.FAILED, "an outage") == 4
    assert states(engine) == ["failed"] * 4 + ["in_doubt"]
    assert await rulings.count(doubts) == 0
    assert await rulings.resolve(doubts, Ruling.FAILED, "again") == 0
    (line, _) = rulings.telemetry.lines
    assert (line.event, line.fields["by"], line.fields["why"]) == ("operator.resolve", "eve", "an outage")


@pytest.mark.parametrize(
    ("narrower", "found"),
    [
        ({"type": "invoice"}, 4),
        ({"type": "shipped"}, 0),
        ({"route": "memory/email"}, 4),
        ({"route": "memory/sms"}, 0),
        ({"before": timedelta(minutes=-1)}, 0),
    ],
)
async def test_only_what_is_meant_is_resolved(engine, rulings, narrower, found):
    before = engine.clock.now + narrower.pop("before", timedelta())
    doubts = Selection(before=before, **narrower)
    assert await rulings.count(doubts) == found
    assert await rulings.resolve(doubts, Ruling.SENT, "the provider has them") == found
    assert states(engine).count("sent") == found


async def test_what_was_decided_meanwhile_is_left_alone(engine, rulings):
    doubts = Selection(before=engine.clock.now)
    real = rulings.history

    class Old:
        async def doubtful(self, *arguments, **named):
            page = await real.doubtful(*arguments, **named)
            keys = [one.delivery.key for one in page[:1]]
            await rulings.deliveries.change(keys, lambda *_: Resolve(ruling=Ruling.SENT, note="seen"))
            return page

    late = Rulings(
        history=Old(), deliveries=rulings.deliveries, telemetry=rulings.telemetry, tenant="default", by="eve"
    )
    assert await late.resolve(doubts, Ruling.FAILED, "an outage") == 3
    assert states(engine) == ["failed"] * 3 + ["in_doubt", "sent"]


async def test_a_resend_passes_over_what_has_expired(engine, rulings):
    doubts = Selection(before=engine.clock.now)
    engine.clock.advance(days=30)
    assert await rulings.count(doubts) == 4
    assert await rulings.resolve(doubts, Ruling.RESEND, "an outage") == 0


async def test_what_goes_again_may_arrive_twice_and_is_counted(engine, rulings):
    assert await rulings.resolve(Selection(before=engine.clock.now), Ruling.RESEND, "an outage") == 4
    resent = [one for one in engine.store.state.deliveries.values() if one.status is Status.PENDING]
    assert [one.reason for one in resent] == [Reason.OPERATOR] * 4
    assert rulings.telemetry.total("duplicates.possible") == 4


async def test_a_reason_that_is_none_changes_nothing(engine, rulings):
    with pytest.raises(InvalidValue):
        await rulings.resolve(Selection(before=engine.clock.now), Ruling.SENT, " ")
    assert states(engine) == ["in_doubt"] * 5


async def test_what_is_left_to_a_report_is_none_of_them(engine):
    doubts = Selection(before=engine.clock.now)
    of = [doubts.include("invoice", one) for one in engine.store.state.deliveries.values()]
    assert sorted(of) == [False, True, True, True, True]
