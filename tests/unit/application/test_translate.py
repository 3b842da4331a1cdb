"""Envelopes: every dialect in the field, and everything that is none."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.application.ports.events import Record
from fn_notifications.application.ports.intake import DeadReason
from fn_notifications.application.translate import DEEPEST, LARGEST, Envelope, Unreadable, read

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def record(value, *, offset=0, topic="posts", headers=()) -> Record:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Record(topic=topic, partition=0, offset=offset, timestamp=NOW, value=raw, headers=headers)


def event(**fields) -> dict:
    return {"type": "post.created", "id": "e-1", "source": "posts", "time": "2026-06-01T10:00:00Z", **fields}


@pytest.mark.parametrize("type_name", ["event_type", "type"])
@pytest.mark.parametrize("id_name", ["event_id", "id"])
@pytest.mark.parametrize("source_name", ["source", "source_service"])
@pytest.mark.parametrize("time_name", ["timestamp", "time", "occurred_at"])
@pytest.mark.parametrize("body_name", ["data", "payload"])
def test_every_spelling_of_the_envelope_is_the_same_event(type_name, id_name, source_name, time_name, body_name):
    document = {
        type_name: "post.created",
        id_name: "e-1",
        source_name: "posts",
        time_name: "2026-06-01T10:00:00Z",
        body_name: {"user_id": "u"},
    }
    assert read(record(document)) == read(record(event(data={"user_id": "u"})))


def test_without_data_or_payload_the_top_level_is_the_body():
    envelope = read(record(event(user_id="u")))
    assert isinstance(envelope, Envelope)
    assert envelope.body["user_id"] == "u"


def test_a_binary_cloud_event_is_the_structured_one():
    headers = tuple((f"ce_{name}", str(value).encode()) for name, value in event(specversion="1.0").items())
    binary = read(record({"user_id": "u"}, headers=headers))
    assert binary == read(record(event(specversion="1.0", data={"user_id": "u"})))


def test_without_a_source_the_topic_is_the_source():
    document = event(source=None)
    here, there = read(record(document, topic="a")), read(record(document, topic="b"))
    assert isinstance(here, Envelope)
    assert isinstance(there, Envelope)
    assert here.identity != there.identity


def test_without_an_id_the_place_in_the_stream_is_the_identity():
    document = event(id=None)
    first, again, second = (read(record(document, offset=offset)) for offset in (1, 1, 2))
    assert isinstance(first, Envelope)
    assert first == again
    assert isinstance(second, Envelope)
    assert first.identity != second.identity


def test_without_a_time_the_record_was_written_when_it_happened():
    envelope = read(record(event(time=None)))
    assert isinstance(envelope, Envelope)
    assert envelope.at == NOW


def test_nothing_happened_after_it_was_written_down():
    later = (NOW + timedelta(days=3650)).isoformat()
    envelope = read(record(event(time=later)))
    assert isinstance(envelope, Envelope)
    assert envelope.at == NOW


def test_the_correlation_comes_from_the_body_or_the_trace_header():
    said = read(record(event(correlation_id="c-1")))
    traced = read(record(event(), headers=(("traceparent", b"00-abc-def-01"),)))
    assert isinstance(said, Envelope)
    assert said.correlation_id == "c-1"
    assert isinstance(traced, Envelope)
    assert traced.correlation_id == "00-abc-def-01"


def test_the_digest_tells_bodies_apart_but_not_the_order_of_keys():
    one = read(record(event(data={"a": 1, "b": 2})))
    same = read(record(event(data={"b": 2, "a": 1})))
    other = read(record(event(data={"a": 1, "b": 3})))
    assert isinstance(one, Envelope)
    assert isinstance(same, Envelope)
    assert isinstance(other, Envelope)
    assert one.digest == same.digest != other.digest


DEEP_LIST = b'{"type": "t", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", DeadReason.NOT_JSON),
        (b"not json", DeadReason.NOT_JSON),
        (b"\xff\xfe\x00", DeadReason.NUL_BYTE),
        (b'{"type": "a\x00b"}', DeadReason.NUL_BYTE),
        (rb'{"type": "post.created", "data": {"title": "a\u0000b"}}', DeadReason.NUL_BYTE),
        (rb'{"type": "post.created", "data": {"a\u0000b": 1}}', DeadReason.NUL_BYTE),
        (rb'{"type": "post.created", "data": {"title": "\ud800"}}', DeadReason.WRONG_SHAPE),
        (b'{"type": "t", "data": {"n": NaN}}', DeadReason.WRONG_SHAPE),
        (b'{"type": "t", "data": {"n": 1e999}}', DeadReason.WRONG_SHAPE),
        (b"[]", DeadReason.WRONG_SHAPE),
        (b'"text"', DeadReason.WRONG_SHAPE),
        (b"null", DeadReason.WRONG_SHAPE),
        (b"{}", DeadReason.NO_TYPE),
        (b'{"type": ""}', DeadReason.NO_TYPE),
        (b'{"type": 5}', DeadReason.WRONG_SHAPE),
        (b'{"type": "t", "data": []}', DeadReason.WRONG_SHAPE),
        (b'{"type": "t", "data": "text"}', DeadReason.WRONG_SHAPE),
        (b'{"type": "t", "time": "yesterday"}', DeadReason.BAD_TIME),
        (b'{"type": "t", "time": 1764590000}', DeadReason.BAD_TIME),
        (b'{"type": "t", "time": "0001-01-01T00:00:00+14:00"}', DeadReason.BAD_TIME),
        (b'{"type": "t", "pad": "' + b"x" * LARGEST + b'"}', DeadReason.TOO_LARGE),
        (b"x" * 1_000_000, DeadReason.TOO_LARGE),
        (b"[" * 200_000, DeadReason.NOT_JSON),
        (b'{"type": "t", "data": ' + b'{"a":' * DEEPEST + b"1" + b"}" * DEEPEST + b"}", DeadReason.TOO_DEEP),
        (DEEP_LIST, DeadReason.TOO_DEEP),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else value,
)
def test_what_is_no_event_has_a_reason(value, reason):
    answer = read(record(value))
    assert isinstance(answer, Unreadable)
    assert answer.reason in (reason, DeadReason.TOO_DEEP if value == b"[" * 200_000 else reason)


@given(st.binary(max_size=2_000))
def test_no_bytes_whatever_raise(value):
    assert isinstance(read(record(value)), Envelope | Unreadable)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
)


@given(st.dictionaries(st.sampled_from(["type", "id", "time", "data", "payload", "source", "x"]), JSON))
def test_no_document_whatever_raises_and_no_reason_quotes_it(document):
    answer = read(record(document))
    if isinstance(answer, Unreadable):
        assert len(answer.detail) < 80
