"""The methods that notifications go through from their events to their ends, each with a world to call it in."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from tests.faults.store_case import Case

from fn_notifications.application.errors import Conflict, Unavailable
from fn_notifications.application.ports.deliveries import Begun, Lease
from fn_notifications.application.ports.intake import Batch
from fn_notifications.application.receipts import judge
from fn_notifications.domain.address import SMS
from fn_notifications.domain.commands import Cancel, Rescue
from fn_notifications.domain.outcome import OutcomeKind, Scope
from fn_notifications.domain.preferences import Known, Profile, Source
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.testing.contracts.stores import (
    ADA,
    BOTH,
    GRACE,
    LEASE,
    PHONE,
    TENANT,
    Stores,
    allowing,
    answer,
    begun,
    claim,
    dead,
    event,
    meet,
    now,
    on_the_wire,
    proposal,
    receipt,
    stop,
    told,
    user,
)

SOME: Final = 3
"""How many of a thing a world has: more than one, so that a repetition of only a part would show."""


async def _people(stores: Stores) -> None:
    for number in range(SOME):
        await meet(stores, user(f"u{number}"), email=ADA.value, phone=PHONE.value)


async def _waiting(stores: Stores) -> list[Any]:
    """Notifications nobody has begun to send."""
    await _people(stores)
    return [await told(stores, user(f"u{n}"), f"n{n}", BOTH, key=f"k{n}") for n in range(SOME)]


async def _leased(stores: Stores) -> Sequence[Lease]:
    await _waiting(stores)
    return await claim(stores)


async def _calling(stores: Stores) -> Sequence[Begun]:
    """Deliveries with a call on the wire."""
    await _waiting(stores)
    return await begun(stores, type_=BOTH)


async def _abandoned(stores: Stores) -> Sequence[Begun]:
    wave = await _calling(stores)
    await stores.advance(LEASE + timedelta(seconds=1))
    return wave


async def _reported(stores: Stores) -> Sequence[Begun]:
    wave = await _calling(stores)
    at = await now(stores)
    await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED) for one in wave])
    reports = [receipt(one, ReceiptKind.DELIVERED, f"d{n}") for n, one in enumerate(wave)]
    word = receipt(wave[0], ReceiptKind.OPTED_OUT, "stop", at=at, channel=SMS, address=PHONE)
    await stores.receipts.receive([*reports, word])
    return wave


async def _logged(stores: Stores) -> Any:
    await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED) for one in await _calling(stores)])
    return await stores.eventlog.take("relay", 100)


async def _unread(stores: Stores) -> None:
    await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED) for one in await _calling(stores)])


async def _taken_long_ago(stores: Stores) -> Any:
    entries = await _logged(stores)
    await stores.advance(timedelta(seconds=3))
    return entries


async def _batch(stores: Stores) -> Batch:
    """Something of everything: new, repeated, ignored, dead, waiting for a contact point, with and without a key."""
    await _people(stores)
    at = await now(stores)
    events = [event(f"n{n}", await proposal(stores, user(f"u{n}"), f"n{n}", BOTH, key="k"), offset=n) for n in (0, 1)]
    unknown = event("unknown", await proposal(stores, user("unknown"), "unknown"), offset=4)
    learnt = Profile(user=user("new"), fields={"email": Known(ADA.value, Source.EVENT, at)})
    return Batch(
        tenant=TENANT,
        events=(*events, events[0], unknown, event("nothing", offset=6)),
        dead=(dead("bad", 7),),
        profiles=(learnt,),
    )


async def _words(stores: Stores) -> list[Any]:
    await _waiting(stores)
    at = await now(stores)
    return [stop(ADA, at), stop(PHONE, at, channel=SMS)]


async def _profiles(stores: Stores) -> list[Profile]:
    await _waiting(stores)
    at = await now(stores)
    fields = {"email": Known("new@example.com", Source.USER, at), "language": Known("es", Source.USER, at)}
    return [Profile(user=user(f"new{n}"), fields=fields) for n in range(SOME)]


def _keys(leases: Sequence[Lease]) -> Any:
    return sorted(str(lease.key) for lease in leases)


def _answers(wave: Sequence[Begun]) -> list[Any]:
    first, second, third = wave
    return [
        answer(first, OutcomeKind.ACCEPTED),
        answer(second, OutcomeKind.UNSENT, scope=Scope.RECIPIENT),
        answer(third, OutcomeKind.OPTED_OUT, opt_out=stop(ADA, third.delivery.attempts[-1].started_at)),
    ]


async def _change(stores: Stores, keys: list[Any], command: Any) -> Any:
    return await stores.deliveries.change(keys, lambda *_: command)


async def _taken(stores: Stores) -> Any:
    return [(entry.id, entry.data) for entry in await stores.eventlog.take("relay", 100)]


STORE_CASES: Final[tuple[Case, ...]] = (
    Case(
        port="people",
        method="load",
        reads=True,
        prepare=_people,
        call=lambda s, _: s.people.load([user("u0"), user("u9")]),
    ),
    Case(
        port="people",
        method="sharing",
        reads=True,
        prepare=_people,
        call=lambda s, _: s.people.sharing(TENANT, SMS, PHONE, 10),
    ),
    Case(port="people", method="save", prepare=_profiles, call=lambda s, it: s.people.save(it), repeated=Conflict),
    Case(port="people", method="suppress", prepare=_words, call=lambda s, it: s.people.suppress(it)),
    Case(port="intake", method="store", prepare=_batch, call=lambda s, it: s.intake.store(it), repeated=Conflict),
    Case(port="deliveries", method="claim", prepare=_waiting, call=lambda s, _: claim(s), tell=_keys),
    Case(
        port="deliveries",
        method="begin",
        prepare=_leased,
        call=lambda s, it: s.deliveries.begin(it, allowing(BOTH)),
        repeated=Unavailable,
        repeatable=False,
    ),
    Case(port="deliveries", method="finish", prepare=_calling, call=lambda s, it: s.deliveries.finish(_answers(it))),
    Case(
        port="deliveries",
        method="finish",
        what="after the lease",
        prepare=_abandoned,
        call=lambda s, it: s.deliveries.finish(_answers(it)),
    ),
    Case(port="deliveries", method="release", prepare=_leased, call=lambda s, it: s.deliveries.release(it)),
    Case(
        port="deliveries",
        method="change",
        what="cancel",
        prepare=_waiting,
        call=lambda s, it: _change(s, [one.key for each in it for one in each.deliveries], Cancel()),
    ),
    Case(
        port="deliveries",
        method="change",
        what="rescue",
        prepare=_abandoned,
        call=lambda s, it: _change(s, [one.delivery.key for one in it], Rescue(grace=GRACE)),
    ),
    Case(
        port="deliveries",
        method="waiting",
        reads=True,
        prepare=_waiting,
        call=lambda s, it: s.deliveries.waiting(TENANT, BOTH.name, it[0].created_at + timedelta(hours=1)),
    ),
    Case(
        port="deliveries", method="overdue", reads=True, prepare=_abandoned, call=lambda s, _: s.deliveries.overdue(10)
    ),
    Case(
        port="deliveries", method="outlived", reads=True, prepare=_waiting, call=lambda s, _: s.deliveries.outlived(10)
    ),
    Case(
        port="receipts",
        method="receive",
        prepare=_calling,
        call=lambda s, it: s.receipts.receive([receipt(one, ReceiptKind.DELIVERED, "k") for one in it]),
    ),
    Case(port="receipts", method="reporting", reads=True, prepare=_reported, call=lambda s, _: s.receipts.reporting()),
    Case(port="receipts", method="apply", prepare=_reported, call=lambda s, _: s.receipts.apply(10, judge)),
    Case(port="eventlog", method="take", prepare=_unread, call=lambda s, _: _taken(s)),
    Case(port="eventlog", method="published", prepare=_logged, call=lambda s, it: s.eventlog.published("relay", it)),
    Case(port="eventlog", method="renew", prepare=_taken_long_ago, call=lambda s, it: s.eventlog.renew("relay", it)),
    Case(port="eventlog", method="release", prepare=_logged, call=lambda s, _: s.eventlog.release("relay")),
    Case(port="eventlog", method="backlog", reads=True, prepare=_logged, call=lambda s, _: s.eventlog.backlog()),
    Case(
        port="history",
        method="story",
        reads=True,
        prepare=on_the_wire,
        call=lambda s, one: s.history.story(TENANT, one.notification.id),
    ),
    Case(port="history", method="recent", reads=True, prepare=_calling, call=lambda s, _: s.history.recent(TENANT, 10)),
    Case(port="history", method="dead_letters", reads=True, call=lambda s, _: s.history.dead_letters(TENANT, 10)),
    Case(
        port="history",
        method="unsettled",
        reads=True,
        prepare=_calling,
        call=lambda s, _: s.history.unsettled(timedelta(1)),
    ),
    Case(
        port="history",
        method="backlog",
        reads=True,
        prepare=_waiting,
        call=lambda s, _: s.history.backlog(TENANT),
    ),
    Case(port="history", method="doubtful", reads=True, call=lambda s, _: s.history.doubtful(TENANT, 10, held=False)),
    Case(port="history", method="doubts", reads=True, call=lambda s, _: s.history.doubts(TENANT)),
    Case(
        port="history",
        method="taken_from",
        reads=True,
        prepare=_waiting,
        call=lambda s, _: s.history.taken_from(TENANT, ["posts"]),
    ),
    Case(port="history", method="ledger", reads=True, prepare=_reported, call=lambda s, _: s.history.ledger(TENANT)),
)
