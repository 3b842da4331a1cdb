"""What events say about people, as fields of a profile."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.adapters.memory.addresses import StrictAddresses
from fn_notifications.application.profile_fields import readers
from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP

KNOWN = ("America/Bogota", "Europe/Madrid", "UTC")
READERS = readers(StrictAddresses(), lambda name: ZoneInfo(name) if name in KNOWN else None, (EMAIL, SMS, WHATSAPP))

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("enabled", "start", "end", "start_hour", "end_hour", "timezone")) | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
)


@pytest.mark.parametrize("name", sorted(READERS))
@given(raw=anything)
def test_any_value_is_a_field_or_none(name, raw):
    fields = READERS[name](raw)
    assert fields is None or all(value is not None for value in fields.values())


@pytest.mark.parametrize(
    ("name", "raw", "fields"),
    [
        ("email", " Ana@EXAMPLE.com ", {"email": "Ana@example.com"}),
        ("email", "ana", None),
        ("email", 5, None),
        ("phone", "+15005550006", {"phone": "+15005550006"}),
        ("phone", "5550006", None),
        ("timezone", "America/Bogota", {"timezone": "America/Bogota"}),
        ("timezone", "Mars/Olympus", None),
        ("timezone", "../../etc/passwd", None),
        ("language", "es", {"language": "es"}),
        ("language", "ES_co", {"language": "es-co"}),
        ("language", "zh-Hant-TW", {"language": "zh-Hant-TW"}),
        ("language", "Spanish, please", None),
        ("global_enabled", False, {"global_enabled": False}),
        ("enabled.sms", "yes", None),
        ("opt_in.whatsapp", True, {"opt_in.whatsapp": True}),
        ("notification_channels", ["email", "sms"], {"enabled.email": True, "enabled.sms": True}),
        ("notification_channels", [], {"enabled.email": False, "enabled.sms": False}),
        ("notification_channels", ["push"], {"enabled.email": False, "enabled.sms": False}),
        ("notification_channels", "email", None),
        ("notification_channels", [None], None),
    ],
)
def test_fields(name, raw, fields):
    assert READERS[name](raw) == fields


@pytest.mark.parametrize("raw", ["../../etc/passwd", "/etc/passwd", "a" * 33, "a/b/c/d", "", "a b", "a\0b", None, 5])
def test_what_does_not_look_like_a_zone_is_never_looked_up(raw):
    """A zone's name is a path of a file to whoever looks it up."""
    trusting = readers(StrictAddresses(), lambda _: UTC, (EMAIL,))
    assert trusting["timezone"](raw) is None
    assert trusting["timezone"]("Etc/GMT+5") == {"timezone": "Etc/GMT+5"}


def test_naming_whatsapp_switches_it_on_and_opts_nobody_in():
    fields = READERS["notification_channels"](["whatsapp"])
    assert fields == {"enabled.email": False, "enabled.sms": False, "enabled.whatsapp": True}


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ({"start": "22:00", "end": "07:30"}, {"enabled": True, "start": "22:00", "end": "07:30"}),
        ({"enabled": True, "start_hour": 22, "end_hour": 7}, {"enabled": True, "start": "22:00", "end": "07:00"}),
        ({"start_hour": 22, "end_hour": 24}, {"enabled": True, "start": "22:00", "end": "00:00"}),
        ({"start": "9:05", "end": "10:00:00"}, {"enabled": True, "start": "09:05", "end": "10:00"}),
        ({"enabled": False}, {"enabled": False, "start": "00:00", "end": "00:00"}),
        (
            {"start": "22:00", "end": "07:00", "timezone": "Europe/Madrid"},
            {"enabled": True, "start": "22:00", "end": "07:00", "timezone": "Europe/Madrid"},
        ),
        (
            {"start": "22:00", "end": "07:00", "timezone": "Nowhere"},
            {"enabled": True, "start": "22:00", "end": "07:00"},
        ),
        ({"start": "22:00"}, None),
        ({"start": "25:00", "end": "07:00"}, None),
        ({"start_hour": 25, "end_hour": 7}, None),
        ({"start_hour": True, "end_hour": 7}, None),
        ({"enabled": "yes", "start": "22:00", "end": "07:00"}, None),
        ("22-07", None),
    ],
)
def test_quiet_hours(raw, kept):
    assert READERS["quiet_hours"](raw) == (kept and {"quiet_hours": kept})
