"""What is taken out of a text, and what is left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.application.redaction import Redaction


def redacted(text, *secrets, longest=1000, **options):
    return Redaction(secrets).text(text, longest, **options)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("no route to ana@example.com", "no route to [address]"),
        ("Ana <ana@example.com>, bo@example.com;c@d", "Ana <[address]>, [address];[address]"),
        ("o'hara+x@xn--bcher-kva.example.com", "[address]"),
        ("GET /people/ana%40example.com", "GET [address]"),
        ("größe@müller.example", "[address]"),
        ("redis://user:word@127.0.0.1:6379/0 refused", "[address] refused"),
        ("to +15005550006.", "to [number]."),
        ("tel:+1 (500) 555-0006", "tel:[number]"),
        ("To=%2B15005550006&From=x", "To=[number]&From=x"),
        ("+1\x00500\x075550006", "[number]"),
    ],
)
def test_addresses_go(text, left):
    assert redacted(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T12:00:00+00:00",
        "2026-11-22T12:00:00+10:30",
        "0190c4a2-0000-8000-8000-000000000001",
        "offset 1234567890123 of partition 3",
        "up by +1234 per cent",
        "@decorated, and user@",
        "400 bad_request",
    ],
)
def test_what_is_no_address_stays(text):
    assert redacted(text) == text


def test_secrets_go_in_every_spelling():
    secret = 'p"ss/w ord\\1'
    text = 'p"ss/w ord\\1 p%22ss%2Fw%20ord%5C1 p\\"ss/w ord\\\\1'

    assert redacted(text, secret) == "[secret] [secret] [secret]"


def test_the_longer_secret_goes_first():
    assert redacted("abcdef-and-more", "abcdef", "abcdef-and-more") == "[secret]"


def test_a_secret_of_several_lines_goes_line_by_line():
    key = "-----BEGIN KEY-----\nMIIabcdef\nxyz12345\n-----END KEY-----\n"

    assert redacted("line MIIabcdef and\nxyz12345", key, lines=True) == "line [secret] and\n[secret]"


def test_a_secret_too_short_to_be_told_from_a_word_is_not_looked_for():
    assert redacted("a test passed", "test", "") == "a test passed"


def test_its_own_repr_shows_no_secret():
    assert "hunter" not in repr(Redaction(["hunter2-hunter2"]))


def test_a_text_is_cut_after_it_was_redacted():
    assert redacted("x" * 30, longest=10) == "x" * 9 + "…"
    assert redacted("aaaa ana@example.com", longest=10) == "aaaa [add…"


def test_an_address_where_reading_ends_is_not_cut_in_two():
    text = "x " * 9_998 + "canary@example.com"

    assert "ca" not in redacted(text, longest=20_000)


@given(text=st.text(), longest=st.integers(10, 60))
def test_any_text_comes_out_short_clean_and_the_same_a_second_time(text, longest):
    once = redacted(text, longest=1000)

    assert redacted(once) == once
    assert "\n" not in once
    assert len(redacted(text, longest=longest)) <= longest
    once.encode()


@given(
    before=st.text(" =:'\"<(", max_size=3),
    after=st.text(" '\">),.;", max_size=3),
    name=st.text("abcz0._+-", min_size=1, max_size=64),
)
def test_no_email_address_gets_through(before, after, name):
    assert "example" not in redacted(f"{before}{name}@example.com{after}")


@given(
    digits=st.text("0123456789", min_size=6, max_size=14),
    between=st.text(" -.()/", max_size=2),
    before=st.text("abc :='", max_size=3),
)
def test_no_number_gets_through(digits, between, before):
    assert redacted(f"{before}+1{between.join(digits)}") == f"{before}[number]"
