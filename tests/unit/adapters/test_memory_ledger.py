"""The accounts in memory notice what is gone, as those in PostgreSQL do."""

import pytest
from tests.services.stores import memory_stores

from fn_notifications.application.ports.intake import Batch
from fn_notifications.application.receipts import judge
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.testing.contracts.stores import (
    ADA,
    TENANT,
    answer,
    begun,
    dead,
    event,
    meet,
    proposal,
    receipt,
    stored,
    told,
    user,
)


def _without_attempts(state):
    key, one = next((key, one) for key, one in state.deliveries.items() if one.attempts)
    state.deliveries[key] = type(one)(**{**_fields(one), "attempts": ()})


def _fields(one):
    return {name: getattr(one, name) for name in one.__slots__ if not name.startswith("__")}


GONE = {
    "intake": (lambda state: state.intakes.pop(0), {"identities", "notifications", "deliveries"}),
    "identity": (lambda state: state.identities.popitem(), {"identities"}),
    "letter": (lambda state: state.dead_letters.pop(), {"dead_letters"}),
    "notification": (lambda state: state.notifications.popitem(), {"notifications"}),
    "delivery": (lambda state: state.deliveries.popitem(), {"deliveries"}),
    "attempts": (_without_attempts, {"attempts", "proofs"}),
    "repetition": (lambda state: state.repeats.popitem(), {"repeats"}),
    "report": (lambda state: state.receipt_keys.pop(), {"reports"}),
    "place": (lambda state: state.due.popitem(), {"wake_ups"}),
    "change": (lambda state: state.log.pop(), {"transitions"}),
}


@pytest.mark.parametrize("what", GONE)
async def test_what_is_gone_is_noticed(what):
    stores = memory_stores()
    await meet(stores, user(), email=ADA.value)
    await told(stores, user(), "one", key="k")
    (wave,) = await begun(stores)
    await stored(stores, event("again", await proposal(stores, user(), "again", key="k")))
    await stores.intake.store(Batch(tenant=TENANT, dead=(dead("bad"),)))
    await stores.deliveries.finish([answer(wave, OutcomeKind.ACCEPTED)])
    await stores.receipts.receive([receipt(wave, ReceiptKind.DELIVERED, "k1")])
    await stores.receipts.apply(10, judge)
    await told(stores, user(), "two")
    assert (await stores.history.ledger(TENANT)).imbalances == ()
    lose, equations = GONE[what]
    lose(stores.intake.state)
    off = (await stores.history.ledger(TENANT)).imbalances
    assert equations <= {one.equation for one in off}
    assert all(one.off for one in off)
