"""JSON-lines files, as people write them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.entrypoints.cli.lines import (
    BadInput,
    messages_of,
    outgoing,
    preference_documents,
    read_lines,
    topic_of,
)

TOPICS = ("fn-posts.post.created", "fn-posts.post.matched", "fn-users.user.registered")


def test_an_event_goes_out_byte_for_byte():
    line = '{ "event_type":"post.matched",  "data": {} }'
    assert outgoing(line, TOPICS).value == line.encode()


def test_what_is_no_json_goes_out_as_it_stands():
    assert outgoing("not json", TOPICS).value == b"not json"


def test_a_wrapped_line_says_topic_key_headers_and_value():
    line = json.dumps({"topic": "t", "key": "k", "headers": {"ce_type": "x"}, "value": {"a": 1}})
    out = outgoing(line, TOPICS)
    assert (out.topic, out.key, out.headers) == ("t", b"k", (("ce_type", b"x"),))
    assert json.loads(out.value) == {"a": 1}


def test_a_wrapped_value_may_be_text_that_is_no_json():
    assert outgoing('{"topic": "t", "value": "broken {"}', TOPICS).value == b"broken {"


def test_a_sample_with_notes_beside_it_is_its_event():
    out = outgoing('{"about": "x", "event": {"type": "user.registered", "id": "1"}, "expect": []}', TOPICS)
    assert json.loads(out.value) == {"type": "user.registered", "id": "1"}
    assert out.topic == "fn-users.user.registered"


@pytest.mark.parametrize(
    ("type_", "topic"),
    [
        ("post.matched", "fn-posts.post.matched"),
        ("post.enhanced", "fn-posts.post.created"),
        ("user.updated", "fn-users.user.registered"),
        ("contact.exchange.requested", "fn-posts.post.created"),
        (None, "fn-posts.post.created"),
    ],
)
def test_the_type_chooses_the_topic(type_, topic):
    assert topic_of({"event_type": type_}, TOPICS) == topic


def test_equal_keys_keep_a_file_in_order():
    assert outgoing('{"a": 1}', TOPICS).key == outgoing("no json", TOPICS).key != b""


@given(st.text())
def test_text_that_is_no_wrapped_event_goes_out_as_it_is(line):
    value = outgoing(line, TOPICS).value
    assert value == line.rstrip("\r").encode("utf-8", "surrogateescape") or json.loads(value)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"value": 1, "headers": 5}', "line 2: headers"),
        ('{"value": 1, "headers": {"h": 1}}', "line 2: headers"),
        ('{"value": 1, "topic": 5}', "line 2: topic"),
        ('{"value": 1, "topic": "a b"}', "line 2: topic"),
        ('{"value": 1, "key": 5}', "line 2: key"),
    ],
)
def test_a_wrapped_line_that_cannot_be_published_is_named(line, why):
    with pytest.raises(BadInput, match=why):
        messages_of(["{}", line], TOPICS)


def test_bytes_that_are_no_text_survive(tmp_path: Path):
    file = tmp_path / "x.jsonl"
    file.write_bytes(b"\xff\xfe{\n\n{}\n")
    first, second = read_lines(file)
    assert outgoing(first, TOPICS).value == b"\xff\xfe{"
    assert second == "{}"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "line 2: no JSON"),
        ("[]", "line 2: needs a user_id"),
        ('{"user_id": 5}', "line 2"),
        (r'{"user_id": "\u0000"}', "line 2"),
    ],
)
def test_preferences_that_cannot_be_read_name_their_line(line, why):
    with pytest.raises(BadInput, match=why):
        preference_documents(['{"user_id": "u"}', line])
