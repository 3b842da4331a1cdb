"""Dossiers on their way through JSON."""

import json
from datetime import UTC, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.adapters.redis.dossiers import DossierFormat
from fn_notifications.application.ports.people import Dossier
from fn_notifications.domain.address import EmailAddress, PhoneNumber
from fn_notifications.domain.caps import Cap
from fn_notifications.domain.preferences import (
    ContactPoint,
    Known,
    Person,
    Profile,
    Source,
    Suppression,
    UserRef,
)
from fn_notifications.domain.quiet_hours import QuietHours
from fn_notifications.testing.contracts.cache import dossier

FORMAT = DossierFormat()

names = st.text(max_size=20)
instants = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
addresses = st.sampled_from(
    [None, EmailAddress("+15005550006@example.com"), EmailAddress("Ana@example.com"), PhoneNumber("+15005550006")]
)
users = st.builds(UserRef, tenant=names, user_id=names)
points = st.builds(
    ContactPoint,
    channel=names,
    address=addresses,
    enabled=st.none() | st.booleans(),
    opt_in=st.none() | st.booleans(),
    respects_quiet_hours=st.none() | st.booleans(),
    cap=st.none()
    | st.builds(Cap, count=st.integers(1), window=st.timedeltas(timedelta(seconds=1), timedelta(days=3650))),
    suppression=st.none() | st.builds(Suppression, cause=names, at=instants),
    epoch=st.integers(0),
    recent=st.lists(instants, max_size=3).map(tuple),
)
dossiers = st.builds(
    Dossier,
    profile=st.builds(
        Profile,
        user=users,
        fields=st.dictionaries(names, st.builds(Known, values, st.sampled_from(Source), instants), max_size=4),
        version=st.integers(0),
    ),
    person=st.builds(
        Person,
        user=users,
        contacts=st.dictionaries(names, points, max_size=3),
        global_enabled=st.booleans(),
        timezone=st.none() | names,
        language=st.none() | names,
        quiet_hours=st.none()
        | st.builds(QuietHours, start=st.times(), end=st.times(), zone=st.none() | names)
        | st.just(QuietHours(start=time(22), end=time(7))),
        type_channels=st.dictionaries(names, st.lists(names, max_size=3).map(tuple), max_size=3),
    ),
)


@given(one=dossiers)
def test_what_is_written_comes_back_equal_to_the_last_type(one):
    back = FORMAT.read(FORMAT.write(one))

    assert back == one
    assert repr([known.value for known in back.profile.fields.values()]) == repr(
        [known.value for known in one.profile.fields.values()]
    )


def changed(change):
    document = json.loads(FORMAT.write(dossier()))
    change(document)
    return json.dumps(document).encode()


def put(*path):
    *way, last, value = path

    def change(document):
        for step in way:
            document = document[step]
        document[last] = value

    return change


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"{}",
        changed(put("extra", 1)),
        changed(lambda document: document.pop("person")),
        changed(lambda document: document["profile"].pop("user")),
        changed(put("profile", "extra", 1)),
        changed(put("profile", "version", "3")),
        changed(put("profile", "version", True)),
        changed(put("profile", "user", "user_id", 7)),
        changed(put("profile", "fields", "email", "source", 9)),
        changed(put("profile", "fields", "email", "source", True)),
        changed(put("profile", "fields", "email", "at", "2026-03-01T12:00:00")),
        changed(put("person", "global_enabled", 1)),
        changed(put("person", "contacts", "sms", "address", {"phone": "anna"})),
        changed(put("person", "contacts", "sms", "address", {"fax": "+15005550006"})),
        changed(put("person", "contacts", "sms", "address", "+15005550006")),
        changed(put("person", "contacts", "sms", "cap", "count", 0)),
        changed(put("person", "contacts", "sms", "recent", ["yesterday"])),
        changed(put("person", "quiet_hours", "start", "25:00")),
    ],
)
def test_what_is_not_exactly_of_that_shape_is_refused(raw):
    with pytest.raises(Exception):  # noqa: B017, PT011  the format promises no more than that it raises
        FORMAT.read(raw)


def test_an_unchanged_document_is_read():
    assert FORMAT.read(changed(lambda document: document)) == dossier()
