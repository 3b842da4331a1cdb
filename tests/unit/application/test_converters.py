"""Every value that reaches a message went through one of these."""

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.application.converters import converter, instant, lines, percent, text

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text("ab \n\r\0\u2028\u202e\ud800")
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
)
CONVERTERS = {
    "text": (converter("text(20)"), 20),
    "lines": (converter("lines(20)"), 20),
    "percent": (percent, 3),
    "datetime": (instant, 25),
}


@pytest.mark.parametrize("name", CONVERTERS)
@given(value=anything)
def test_nothing_raises_and_what_comes_out_is_small_and_clean(name, value):
    """A value is absent, or fits its limit, can be stored and sent, and is the same when converted again."""
    convert, longest = CONVERTERS[name]
    converted = convert(value)
    if converted is None:
        return
    written = str(converted)
    assert 0 < len(written) <= longest
    assert written == written.strip()
    assert written.encode()
    assert not any(unicodedata.category(char) in ("Cc", "Cs") and char != "\n" for char in written)
    assert "\n" not in written or name == "lines"
    if name != "percent":
        assert convert(converted) == converted


@pytest.mark.parametrize(
    ("value", "converted"),
    [
        ("  Blue\t\n umbrella ", "Blue umbrella"),
        ("a\0b\x07", "ab"),
        ("\ud800x", "x"),
        ("\u202egnp.exe", "gnp.exe"),
        ("\0 a", "a"),
        ("", None),
        (" \n\0 ", None),
        (7, "7"),
        (4.65, "4.65"),
        (1.0, "1"),
        (True, "true"),
        pytest.param(10**5000, None, id="huge"),
        (math.nan, None),
        (-math.inf, None),
        (None, None),
        (["a"], None),
        ({"a": "b"}, None),
        ("x" * 21, "x" * 19 + "…"),
        ("x" * 20, "x" * 20),
        ("word " * 5, "word word word word…"),
    ],
)
def test_text(value, converted):
    assert text(20)(value) == converted


def test_lines_keep_their_breaks_and_no_more():
    assert lines(100)(" One\r\ntwo  words \n\n\n\nthree\0\u2028four ") == "One\ntwo words\n\nthree\nfour"
    assert lines(100)("\n\n \n") is None
    assert lines(8)("one\ntwo three") == "one\ntwo…"


@pytest.mark.parametrize(
    ("value", "converted"),
    [
        (0, 0),
        (0.0, 0),
        (0.004, 0),
        (0.87, 87),
        (0.875, 88),
        (1, 100),
        (1.0, 100),
        (1.4, 1),
        (91, 91),
        (91.5, 92),
        (100, 100),
        (100.1, None),
        (-0.1, None),
        (True, None),
        ("91", None),
        (math.nan, None),
    ],
)
def test_percent_takes_shares_and_percentages(value, converted):
    assert percent(value) == converted


@given(share=st.floats(0, 1))
def test_a_share_is_never_off_by_more_than_half_a_per_cent(share):
    assert abs(percent(share) - share * 100) <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("value", "converted"),
    [
        ("2036-01-01T00:00:00Z", "2036-01-01T00:00:00Z"),
        ("2036-01-01T00:00:00.987654+05:30", "2035-12-31T18:30:00Z"),
        (" 2036-01-01 00:00 ", "2036-01-01T00:00:00Z"),
        ("2036-01-01", "2036-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59-14:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("2036-02-30T00:00:00Z", None),
        ("tomorrow", None),
        (1_780_000_000, None),
        (None, None),
    ],
)
def test_datetime_is_utc_to_the_second(value, converted):
    assert converter("datetime")(value) == converted


@pytest.mark.parametrize(
    "spec", ["", "texts(5)", "text", "text()", "text(0)", "text(10001)", "text(5", "percent(5)", "text(-1)", "lines"]
)
def test_an_unknown_converter_says_what_there_is(spec):
    with pytest.raises(ValueError, match=r"percent, datetime, text\(max\) or lines\(max\)"):
        converter(spec)
