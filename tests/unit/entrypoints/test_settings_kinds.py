"""How the text of one variable is read."""

from base64 import b64encode, urlsafe_b64encode
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fn_notifications.entrypoints.settings import kinds, locators
from fn_notifications.entrypoints.settings.secret import Secret
from fn_notifications.entrypoints.settings.variables import VARIABLES

KEY = bytes(range(223, 255))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (kinds.whole(0, 65535), "65535", 65535),
        (kinds.milliseconds(1, 5000), "1500", 1.5),
        (kinds.duration(3600), "15m", 900),
        (kinds.duration(3600), "0", 0),
        (kinds.boolean, "Yes", True),
        (kinds.boolean, "1", True),
        (kinds.boolean, "0", False),
        (kinds.level, "WARN", "warning"),
        (kinds.listing(kinds.whole(1, 9)), "3, 1,3,", (3, 1)),
        (kinds.queues, "default:10, notifications:20", {"default": 10, "notifications": 20}),
        (kinds.start, "Earliest", "earliest"),
        (kinds.group_protocol, "Consumer", "consumer"),
        (
            kinds.properties,
            " ssl.ca.location=/etc/ca.pem, client.rack = a=b ",
            {"ssl.ca.location": Secret("/etc/ca.pem"), "client.rack": Secret("a=b")},
        ),
        (kinds.start, "2026-11-01T01:00:00+01:00", datetime(2026, 11, 1, tzinfo=UTC)),
        (locators.public_host, "Notifications.Example.com:8443", "notifications.example.com:8443"),
        (locators.bind_address, "::1", "::1"),
        (locators.broker, "[::1]:9092", "[::1]:9092"),
        (locators.base_url, "https://api.example.com/v3/", "https://api.example.com/v3"),
        (locators.base_url, "http://localhost:8025", "http://localhost:8025"),
        (locators.origin, "https://App.example.com/", "https://app.example.com"),
    ],
)
def test_text_that_is_understood(kind, text, value):
    assert kind.read(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (kinds.whole(0, 65535), "65536"),
        (kinds.whole(0, 65535), "-1"),
        (kinds.whole(0, 65535), "1_0"),
        (kinds.whole(0, 65535), "٤"),
        (kinds.milliseconds(1, 5000), "1.5"),
        (kinds.duration(3600), "2h"),
        (kinds.duration(3600), "15 minutes"),
        (kinds.boolean, "maybe"),
        (kinds.level, "loud"),
        (kinds.listing(kinds.whole(1, 9)), ","),
        (kinds.text, "two\nlines"),
        (kinds.token, "two words"),
        (kinds.queues, "default"),
        (kinds.properties, "client.rack"),
        (kinds.properties, "error_cb=print"),
        (kinds.properties, "client.rack=a,client.rack=b"),
        (kinds.queues, "default:0"),
        (kinds.queues, "default:1,default:2"),
        (kinds.start, "2026-11-01T00:00:00"),
        (kinds.start, "yesterday"),
        (kinds.start, "0001-01-01T00:00:00+23:00"),
        (locators.public_host, "https://example.com"),
        (locators.broker, "kafka"),
        (locators.broker, "kafka:0"),
        (locators.broker, "kafka:65536"),
        (locators.broker, "SASL_SSL://kafka:9092"),
        (locators.bind_address, "localhost"),
        (locators.base_url, "http://127.0.0.1.example.com"),
        (locators.base_url, "http://127.0.0.1\\@example.com"),
        (locators.base_url, "https://example.com?q=1"),
        (locators.base_url, "https://example.com#f"),
        (locators.base_url, "https://exam ple.com"),
        (locators.base_url, "https://example.com:99999"),
        (locators.web_url, "ftp://example.com"),
        (locators.origin, "*"),
        (locators.origin, "https://example.com/path"),
        (locators.postgres_url, "ecto://u:p@h/d"),
        (locators.postgres_url, "postgresql:///d"),
        (locators.postgres_url, "postgresql://u:123/4@h/d"),
        (locators.public_host, "[1.2]"),
        (locators.postgres_url, "postgresql://u:p#q@h/d"),
        (locators.postgres_url, "postgresql://u:p@h/d?sslmode=maybe"),
        (locators.redis_url, "redis:///0"),
        (locators.redis_url, "http://h:6379"),
        (locators.redis_url, "redis://h:6379/zero"),
        (locators.email, "nobody"),
        (locators.email, "a@b@example.com"),
        (locators.phone, "0049123456"),
        (locators.recipient, "*"),
        (locators.recipient, "com"),
        (locators.contact_keys, "a:c2hvcnQ="),
        (locators.contact_keys, b64encode(KEY).decode()),
        (locators.contact_keys, f"a:{b64encode(KEY).decode()},a:{b64encode(KEY).decode()}"),
        (locators.lookup_key, "not base64!"),
        (locators.lookup_key, f"!!!!{b64encode(KEY).decode()}"),
    ],
)
def test_text_that_is_not(kind, text):
    with pytest.raises((ValueError, OverflowError)):
        kind.read(text)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://h/d",
        "postgresql://u:p%40@h:5432/d?sslmode=verify-full",
        "postgresql://u:p@h1:5432,h2:5433/d",
        "postgresql://u@/d?host=/run/postgresql",
        "postgresql://u:p@[::1]:5432/d",
    ],
)
def test_a_database_url_is_kept_as_it_is_and_out_of_sight(url):
    secret = locators.postgres_url.read(url)

    assert secret.reveal() == url
    assert str(secret) == repr(secret) == f"{secret}" == "Secret(***)"


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode, lambda key: b64encode(key).rstrip(b"=")])
def test_keys_come_in_either_base64_newest_first(encode):
    newest, oldest = locators.contact_keys.read(f"2026:{encode(KEY).decode()}, old:{encode(KEY[::-1]).decode()}")

    assert (newest.id, newest.key.reveal()) == ("2026", KEY)
    assert (oldest.id, oldest.key.reveal()) == ("old", KEY[::-1])


@settings(deadline=None)
@given(st.text(), st.sampled_from(VARIABLES))
def test_any_text_is_read_or_refused_and_nothing_else(text, variable):
    with suppress(ValueError, OverflowError):
        variable.kind.read(text)


def test_every_default_can_be_read():
    for variable in VARIABLES:
        if variable.default is not None:
            variable.kind.read(variable.default)
