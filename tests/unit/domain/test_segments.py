"""What a text costs as an SMS."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.segments import Encoding, cost, plain

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=400)
gsm_texts = st.text("abcXYZ 0123456789@£ñÑ\n{}[]~^|\\€", max_size=700)


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", Encoding.GSM7, 0, 1),
        ("a" * 160, Encoding.GSM7, 160, 1),
        ("a" * 161, Encoding.GSM7, 161, 2),
        ("a" * 306, Encoding.GSM7, 306, 2),
        ("a" * 307, Encoding.GSM7, 307, 3),
        ("€" * 80, Encoding.GSM7, 160, 1),
        ("€" * 81, Encoding.GSM7, 162, 2),
        ("a" * 152 + "€" + "a" * 10, Encoding.GSM7, 164, 2),
        # 153 septets hold 76 euro signs and half of one: the half waits for the next segment.
        ("€" * 153, Encoding.GSM7, 306, 3),
        ("ñ" * 160, Encoding.GSM7, 160, 1),
        ("á", Encoding.UCS2, 1, 1),
        ("漢" * 70, Encoding.UCS2, 70, 1),
        ("漢" * 71, Encoding.UCS2, 71, 2),
        ("漢" * 134, Encoding.UCS2, 134, 2),
        ("漢" * 135, Encoding.UCS2, 135, 3),
        ("😀" * 35, Encoding.UCS2, 70, 1),
        ("😀" * 36, Encoding.UCS2, 72, 2),
        ("😀" * 67, Encoding.UCS2, 134, 3),
    ],
)
def test_known_costs(text, encoding, units, segments):
    assert (cost(text).encoding, cost(text).units, cost(text).segments) == (encoding, units, segments)


@given(text=texts | gsm_texts)
def test_units_are_those_of_the_encoding(text):
    """UCS-2 counts what UTF-16 would take; GSM-7 counts at least the characters."""
    paid = cost(text)
    if paid.encoding is Encoding.UCS2:
        assert paid.units == len(text.encode("utf-16-le")) // 2
    else:
        assert len(text) <= paid.units <= 2 * len(text)


@given(text=texts | gsm_texts)
def test_segments_hold_what_is_in_them(text):
    """Never fewer segments than the units need; never more than one unit per segment is left unused."""
    paid = cost(text)
    alone, joined = (160, 153) if paid.encoding is Encoding.GSM7 else (70, 67)
    if paid.units <= alone:
        assert paid.segments == 1
    else:
        assert -(-paid.units // joined) <= paid.segments <= -(-paid.units // (joined - 1))


@given(one=texts | gsm_texts, other=texts | gsm_texts)
def test_more_text_never_costs_less(one, other):
    assert cost(one + other).segments >= cost(one).segments


@given(text=texts)
def test_plain_text_is_its_own_and_needs_no_more_segments_where_it_was_cheap(text):
    assert plain(plain(text)) == plain(text)


def test_typography_no_longer_costs_three_times_as_much():
    fancy = "\u201cDon\u2019t wait\u201d \u2013 it\u2019s yours\u2026" + "x" * 80
    assert cost(fancy).encoding is Encoding.UCS2
    assert plain(fancy) == "\"Don't wait\" - it's yours..." + "x" * 80
    assert cost(plain(fancy)).segments == 1


def test_letters_of_any_language_stay_as_they_are():
    assert plain("á ñ ß 漢 😀 ç") == "á ñ ß 漢 😀 ç"
