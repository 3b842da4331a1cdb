"""Ids are made from what they name. The golden values must never change: stored ids were made the same way."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.identity import (
    SHARDS,
    attempt_id,
    digest,
    event_identity,
    first_id_at,
    notification_id,
    parse_attempt_id,
    record_identity,
    shard_in,
    shard_of,
)
from fn_notifications.testing.strategies import moments, names, texts

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
identities = st.binary(min_size=16, max_size=16)


def test_golden_values() -> None:
    identity = event_identity("posts", "post.created", "42")
    assert digest("a", b"b").hex() == "3c9d591045bc8876f9d0399bbfb05c6a"
    assert identity.hex() == "c00fd9f57017f7be2dff9d726d1ae013"
    assert record_identity("posts.events", 3, 7, NOON, b"{}").hex() == "811d34f11294e8fdbf63be740bf6c4a5"
    assert shard_of("default", "ada") == 104
    id_ = notification_id(NOON, "default", "ada", "welcome", identity)
    assert str(id_) == "019df2dc-0a00-8683-8847-a0d043c852c8"
    assert attempt_id(id_, 1, 2) == "019df2dc0a0086838847a0d043c852c8-1-2"


@given(moments(1970, 9999), names(), names(), names(), identities)
def test_a_notification_id_is_a_uuid_of_version_8(
    at: datetime, tenant: str, user: str, type_: str, identity: bytes
) -> None:
    id_ = notification_id(at, tenant, user, type_, identity)
    assert (id_.version, id_.variant) == (8, "specified in RFC 4122")
    assert id_ == notification_id(at, tenant, user, type_, identity)


@given(moments(1970, 9999), names(), names(), identities)
def test_time_and_shard_are_read_back_from_the_id_alone(at: datetime, tenant: str, user: str, identity: bytes) -> None:
    id_ = notification_id(at, tenant, user, "welcome", identity)
    assert id_.int >> 80 == (at - datetime(1970, 1, 1, tzinfo=UTC)) // MILLISECOND
    assert shard_in(id_) == shard_of(tenant, user)


@given(moments(), moments(), names(), names(), identities, identities)
def test_ids_sort_by_time_to_the_millisecond(
    one: datetime, other: datetime, user: str, another: str, identity: bytes, second: bytes
) -> None:
    if abs(one - other) > MILLISECOND:
        ids = (notification_id(one, "t", user, "x", identity), notification_id(other, "t", another, "x", second))
        assert (ids[0] < ids[1]) == (one < other)


@given(moments(), names(), identities)
def test_the_first_id_of_a_moment_bounds_a_partition(at: datetime, user: str, identity: bytes) -> None:
    id_ = notification_id(at, "default", user, "welcome", identity)
    assert first_id_at(at) < id_ < first_id_at(at + MILLISECOND)


def test_an_event_from_before_1970_counts_as_from_then() -> None:
    old = datetime(1969, 7, 20, tzinfo=UTC)
    assert first_id_at(old) == UUID(int=0)
    assert notification_id(old, "default", "ada", "welcome", b"").int >> 80 == 0


def test_everything_an_id_names_makes_another_id() -> None:
    base = (NOON, "default", "ada", "welcome", b"one")
    others: list[tuple[datetime, str, str, str, bytes]] = [
        (NOON + MILLISECOND, "default", "ada", "welcome", b"one"),
        (NOON, "other", "ada", "welcome", b"one"),
        (NOON, "default", "bob", "welcome", b"one"),
        (NOON, "default", "ada", "reminder", b"one"),
        (NOON, "default", "ada", "welcome", b"two"),
    ]
    assert len({notification_id(*parts) for parts in (base, *others)}) == 6


@given(st.lists(texts(4), max_size=4), st.lists(texts(4), max_size=4))
def test_parts_of_a_digest_cannot_run_into_each_other(one: list[str], other: list[str]) -> None:
    assert (digest(*one) == digest(*other)) == (one == other)


def test_who_said_it_what_kind_and_their_id_make_an_event_another_one() -> None:
    ids = {event_identity(*parts) for parts in (("a", "b", "c"), ("ab", "", "c"), ("b", "a", "c"), ("a", "b", "d"))}
    assert len(ids) == 4


def test_a_topic_made_anew_has_other_records() -> None:
    record = record_identity("t", 0, 0, NOON, b"{}")
    assert record != record_identity("t", 0, 0, NOON + MILLISECOND, b"{}")
    assert record != record_identity("t", 0, 0, NOON, b"{ }")
    assert record != record_identity("t", 0, 1, NOON, b"{}")
    assert record != record_identity("t", 1, 0, NOON, b"{}")


def test_users_spread_over_all_shards() -> None:
    assert {shard_of("default", str(user)) for user in range(4096)} == set(range(SHARDS))


@given(st.uuids(), st.integers(1, 999), st.integers(1, 999))
def test_an_attempt_id_leads_back_to_its_place(notification: UUID, delivery_no: int, attempt_no: int) -> None:
    text = attempt_id(notification, delivery_no, attempt_no)
    assert parse_attempt_id(text) == (notification, delivery_no, attempt_no)


@given(st.text(max_size=40))
def test_text_that_was_not_made_here_names_no_attempt(text: str) -> None:
    parsed = parse_attempt_id(text)
    assert parsed is None or attempt_id(*parsed) == text


HEX = "0" * 31 + "1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        HEX,
        f"{HEX}-1",
        f"{HEX}-1-1-1",
        f"{HEX}-0-1",
        f"{HEX}-01-1",
        f"{HEX}-+1-1",
        f"{HEX}-1_0-1",
        f"{HEX}- 1-1",
        f"{HEX}-1-\u0661",
        f"{HEX}-1-1\n",
        f"{HEX}-1-{10**9}",
        f"{HEX}-1-" + "9" * 5000,
        HEX[1:] + "-1-1",
        "F" + HEX[1:] + "-1-1",
    ],
)
def test_one_attempt_has_one_spelling(text: str) -> None:
    assert parse_attempt_id(text) is None
