"""The methods that operators and upkeep use, each with a world to call it in."""

from datetime import timedelta
from typing import Final

from attrs import evolve
from tests.faults.store_case import Case

from fn_notifications.application.ports.intake import Batch, Hold
from fn_notifications.application.ports.quarantine import Wanted
from fn_notifications.application.ports.storage import Keeping
from fn_notifications.application.receipts import judge
from fn_notifications.domain.outcome import OutcomeKind, Scope
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.domain.routes import HoldKind
from fn_notifications.domain.slowness import Demotion
from fn_notifications.domain.stops import Word
from fn_notifications.testing.contracts.routes import ROUTE, texts, through
from fn_notifications.testing.contracts.stores import (
    ADA,
    BOTH,
    NEWS,
    SMS,
    TENANT,
    Stores,
    answer,
    begun,
    claim,
    dead,
    event,
    meet,
    now,
    proposal,
    receipt,
    stored,
    told,
    user,
)

DAY: Final = timedelta(days=1)
KEEPING: Final = Keeping(history=30 * DAY, events=10 * DAY, queue=DAY)
OTHER: Final = "other/sms"
OPERATOR: Final[dict[str, str]] = {"reason": "a bad template", "by": "eve"}


async def _old(stores: Stores) -> None:
    """Something of everything that is kept for a while, long ago."""
    await meet(stores, user(), email=ADA.value)
    for name in ("one", "two"):
        await told(stores, user(), name, key=name)
    await stored(stores, event("again", await proposal(stores, user(), "again", key="one")))
    await stores.intake.store(Batch(tenant=TENANT, dead=(dead("bad"),)))
    wave = await begun(stores)
    await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED) for one in wave])
    await stores.receipts.receive([receipt(one, ReceiptKind.DELIVERED, "k") for one in wave])
    await stores.receipts.apply(10, judge)
    await stores.eventlog.published("relay", await stores.eventlog.take("relay", 100))
    await stores.advance(65 * DAY)


async def _quarantined(stores: Stores) -> list[int]:
    at = await now(stores) - 3 * timedelta(hours=1)
    for number in range(3):
        hold = Hold(user(), NEWS.name, at, Reason.REPLAYED)
        one = event(f"n{number}", offset=number)
        await stored(stores, evolve(one, holds=(hold,)))
    return [one.id for one in await stores.quarantine.held(TENANT, Wanted(), 10)]


async def _dead(stores: Stores) -> int:
    await stores.intake.store(Batch(tenant=TENANT, dead=(dead("bad"),)))
    (letter,) = await stores.history.dead_letters(TENANT, 10)
    return letter.id


async def _held(stores: Stores) -> None:
    """A route is held, shut and pinned, and messages wait for it."""
    await texts(stores, 3)
    await stores.routes.report(await _words(stores))
    await stores.routes.hold(HoldKind.ROUTE, ROUTE, **OPERATOR)
    await stores.routes.hold(HoldKind.ALL, "", **OPERATOR)
    await stores.routes.pin(ROUTE, DAY, **OPERATOR)
    assert not await stores.deliveries.begin(await claim(stores, SMS), through())


async def _words(stores: Stores) -> list[Word]:
    at = await now(stores)
    return [
        Word(route=ROUTE, country="+1", began=at, bad=Scope.ROUTE, code="down"),
        Word(route=OTHER, country="+49", began=at, works=True, bad=Scope.DESTINATION),
    ]


async def _demotion(stores: Stores) -> Demotion:
    await texts(stores, 1)
    at = await now(stores)
    return Demotion(since=at, until=at + DAY, times=1)


OPERATOR_CASES: Final[tuple[Case, ...]] = (
    Case(port="storage", method="prune", prepare=_old, call=lambda s, _: s.storage.prune(KEEPING, 100)),
    Case(port="storage", method="vitals", reads=True, call=lambda s, _: s.storage.vitals(), tell=type),
    Case(port="routes", method="board", reads=True, prepare=_held, call=lambda s, _: s.routes.board()),
    Case(port="routes", method="report", prepare=_words, call=lambda s, it: s.routes.report(it)),
    Case(
        port="routes",
        method="permits",
        call=lambda s, _: s.routes.permits({ROUTE: 9, OTHER: 9}, {ROUTE: 5.0, OTHER: 9.0}),
    ),
    Case(port="routes", method="hold", call=lambda s, _: s.routes.hold(HoldKind.TYPE, BOTH.name, **OPERATOR)),
    Case(port="routes", method="release", prepare=_held, call=lambda s, _: s.routes.release(HoldKind.ROUTE, ROUTE)),
    Case(
        port="routes",
        method="release",
        what="all",
        prepare=_held,
        call=lambda s, _: s.routes.release(HoldKind.ALL, ""),
    ),
    Case(port="routes", method="pin", prepare=_held, call=lambda s, _: s.routes.pin(OTHER, DAY, **OPERATOR)),
    Case(port="routes", method="unpin", prepare=_held, call=lambda s, _: s.routes.unpin(ROUTE)),
    Case(
        port="routes",
        method="weigh",
        prepare=_demotion,
        call=lambda s, it: s.routes.weigh([ROUTE, OTHER], lambda *_: (ROUTE, it)),
    ),
    Case(
        port="quarantine",
        method="held",
        reads=True,
        prepare=_quarantined,
        call=lambda s, _: s.quarantine.held(TENANT, Wanted(), 10),
    ),
    Case(
        port="quarantine",
        method="opened",
        reads=True,
        prepare=_quarantined,
        call=lambda s, ids: s.quarantine.opened(TENANT, ids),
    ),
    Case(
        port="quarantine",
        method="discard",
        prepare=_quarantined,
        call=lambda s, _: s.quarantine.discard(TENANT, Wanted(), keep=1),
    ),
    Case(
        port="quarantine",
        method="tally",
        reads=True,
        prepare=_quarantined,
        call=lambda s, _: s.quarantine.tally(TENANT, Wanted()),
    ),
    Case(
        port="dead_letters",
        method="opened",
        reads=True,
        prepare=_dead,
        call=lambda s, id_: s.dead_letters.opened(TENANT, id_),
    ),
    Case(
        port="dead_letters", method="replayed", prepare=_dead, call=lambda s, id_: s.dead_letters.replayed(TENANT, id_)
    ),
)
