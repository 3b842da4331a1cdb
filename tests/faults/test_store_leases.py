"""A worker that wakes up after its lease has passed on writes nothing under it (fault 39)."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import pytest
from attrs import frozen
from tests.services.contents import Contents, contents
from tests.services.stores import postgres_stores

from fn_notifications.application.ports.deliveries import Begun, Deliveries, Lease
from fn_notifications.domain.commands import Remedy, Rescue, Settle
from fn_notifications.domain.events import Evidence
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.testing.contracts.stores import (
    GRACE,
    LEASE,
    Stores,
    allowing,
    answer,
    claim,
    delivery,
    meet,
    told,
    user,
)

pytestmark = pytest.mark.external

LATER: Final = LEASE + timedelta(seconds=1)


@frozen(kw_only=True)
class Late:
    """What the first worker still holds in its hands when it wakes up, and the second has taken over."""

    leases: Sequence[Lease]
    begun: Sequence[Begun]


WRITES: Final[Mapping[str, Callable[[Stores, Late], Awaitable[Any]]]] = {
    "begin": lambda stores, late: stores.deliveries.begin(late.leases, allowing()),
    "finish": lambda stores, late: stores.deliveries.finish([answer(one, OutcomeKind.UNSENT) for one in late.begun]),
    "release": lambda stores, late: stores.deliveries.release(late.leases),
}
"""Every method that is given leases."""


def queue(found: Contents) -> Any:
    return found.tables["due"]


async def overtaken(stores: Stores, *, begun: bool) -> Late:
    """The first worker slept past its lease, with or without calls on the wire; the second holds one of its own."""
    await meet(stores, user(), email="ada@example.com")
    for name in ("one", "two"):
        await told(stores, user(), name)
    leases = await claim(stores, worker="w1")
    wave = await stores.deliveries.begin(leases, allowing()) if begun else []
    await stores.advance(LATER)
    keys = [one.lease.key for one in wave]
    await stores.deliveries.change(keys, lambda *_: Rescue(grace=GRACE))
    await stores.deliveries.change(keys, lambda *_: Settle(remedy=Remedy.RESEND))
    assert len(await claim(stores, worker="w2")) == 2
    return Late(leases=leases, begun=wave)


@pytest.mark.parametrize("begun", [False, True], ids=["before its call", "after its call"])
@pytest.mark.parametrize("method", WRITES)
async def test_fault_39_what_comes_late_takes_nothing_from_the_new_holder(
    postgres_url: str, method: str, begun: bool
) -> None:
    """Not a column of the queue changes: neither lease nor token nor time. Only a late answer is kept, as evidence."""
    async with postgres_stores(postgres_url) as (stores, _):
        late = await overtaken(stores, begun=begun)
        before = await contents(postgres_url)
        assert not await WRITES[method](stores, late) or method == "finish"
        after = await contents(postgres_url)
        assert queue(after) == queue(before)
        if method == "finish" and begun:
            for one in late.begun:
                (attempt,) = (await delivery(stores, one.notification)).attempts
                assert attempt.evidence is Evidence.UNSENT
        else:
            assert after == before


@pytest.mark.parametrize("method", ["begin", "release"])
async def test_fault_39_a_lease_that_ran_out_is_over_though_nobody_took_it(postgres_url: str, method: str) -> None:
    """It begins nothing; giving it back is as good as letting it lie."""
    async with postgres_stores(postgres_url) as (stores, _):
        await meet(stores, user(), email="ada@example.com")
        await told(stores, user(), "one")
        late = Late(leases=await claim(stores), begun=())
        await stores.advance(LATER)
        assert not await WRITES[method](stores, late)
        assert not (await contents(postgres_url)).tables["attempts"]
        assert len(await claim(stores, worker="w2")) == 1


def test_every_method_that_is_given_leases_is_here() -> None:
    given = {
        name
        for name, method in inspect.getmembers(Deliveries, inspect.isfunction)
        if any(
            "Lease]" in str(each.annotation) or "Answer]" in str(each.annotation)
            for each in inspect.signature(method).parameters.values()
        )
    }
    assert given == set(WRITES)
