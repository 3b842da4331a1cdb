"""Reports that come at the same time are stored together, and each call is answered for its own."""

import asyncio
from datetime import UTC, datetime

import pytest

from fn_notifications.application.errors import Refused, Unavailable
from fn_notifications.application.inbox import Inbox
from fn_notifications.domain.receipts import Receipt, ReceiptKind


def report(key: str) -> Receipt:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Receipt(provider="p", key=key, kind=ReceiptKind.DELIVERED, at=at, attempt_id="0190-1-1")


class Slow:
    """A store that waits until it may go on, and refuses what it is told to."""

    def __init__(self, *, refuses: str = "", fails: Exception | None = None) -> None:
        self.together: list[list[str]] = []
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.refuses, self.fails = refuses, fails

    async def receive(self, receipts):
        keys = [one.key for one in receipts]
        self.together.append(keys)
        self.asked.set()
        await self.go_on.wait()
        if self.fails:
            raise self.fails
        if self.refuses in keys:
            raise Refused("not this one")
        return len(keys)


async def sent(inbox: Inbox, store: Slow, *calls: list[str]) -> list[BaseException | None]:
    """The answers to calls that come while the first is being stored."""
    first = asyncio.create_task(inbox.receive([report("first")]))
    await store.asked.wait()
    others = [asyncio.create_task(inbox.receive([report(key) for key in keys])) for keys in calls]
    await asyncio.sleep(0)
    store.go_on.set()
    return list(await asyncio.gather(first, *others, return_exceptions=True))


async def test_what_comes_while_others_are_stored_is_stored_together():
    store = Slow()
    assert await sent(Inbox(store), store, ["a", "b"], ["c"]) == [None, None, None]
    assert store.together == [["first"], ["a", "b", "c"]]


async def test_no_transaction_grows_without_bound_and_a_large_call_stays_whole():
    store = Slow()
    await sent(Inbox(store, most=3), store, ["a", "b"], ["c", "d"], ["1", "2", "3", "4"], ["e"])
    assert store.together == [["first"], ["a", "b"], ["c", "d"], ["1", "2", "3", "4"], ["e"]]


async def test_a_report_that_cannot_be_stored_fails_its_own_call_only():
    store = Slow(refuses="bad")
    answers = await sent(Inbox(store), store, ["a"], ["bad"], ["c"])
    assert [type(answer) for answer in answers] == [type(None), type(None), Refused, type(None)]


async def test_an_outage_is_told_to_all_without_asking_again():
    store = Slow(fails=Unavailable("gone"))
    answers = await sent(Inbox(store), store, ["a"], ["b"])
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    assert store.together == [["first"], ["a", "b"]]


async def test_a_call_that_is_given_up_loses_nothing_of_the_others():
    store = Slow()
    inbox = Inbox(store)
    one = asyncio.create_task(inbox.receive([report("one")]))
    await store.asked.wait()
    given_up, stays = (asyncio.create_task(inbox.receive([report(key)])) for key in ("gone", "stays"))
    await asyncio.sleep(0)
    given_up.cancel()
    store.go_on.set()
    await asyncio.gather(one, stays)
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert store.together == [["one"], ["gone", "stays"]]


async def test_after_an_error_the_next_call_is_taken():
    store = Slow(fails=ValueError("a bug"))
    inbox = Inbox(store)
    await sent(inbox, store)
    store.fails = None
    await inbox.receive([report("next")])
    assert store.together == [["first"], ["next"]]
