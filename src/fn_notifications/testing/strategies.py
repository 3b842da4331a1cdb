"""Hypothesis strategies: one per domain type, composed. Addresses are fakes; every value is fit to be stored."""

from datetime import UTC, datetime, time, timedelta, tzinfo
from string import ascii_lowercase, digits
from typing import Any, Final
from zoneinfo import ZoneInfo

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fn_notifications.domain.address import EMAIL, Address, Channel, EmailAddress, PhoneNumber
from fn_notifications.domain.caps import Cap
from fn_notifications.domain.catalogue import CHANNELS, AllowList, InDoubt, NotificationType, OverCap, Policy, Priority
from fn_notifications.domain.decision import Decision
from fn_notifications.domain.notification import Notification, Request
from fn_notifications.domain.preferences import (
    CONTACTS,
    ContactPoint,
    Fact,
    Field,
    Known,
    Person,
    Profile,
    Source,
    Suppression,
    UserRef,
)
from fn_notifications.domain.quiet_hours import QuietHours
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.retry import RetryPolicy
from fn_notifications.domain.routing import plan

ZONES: Final = (
    "America/New_York",
    "America/Bogota",
    "America/Havana",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Europe/Berlin",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Chatham",
)
"""Clocks that change by half an hour, at midnight, twice around Ramadan, the other way round, across a date, never."""

TYPES: Final = ("post_confirmation", "match_detected", "urgent_claim", "welcome", "reminder")
_ATEXT: Final = ascii_lowercase + ascii_lowercase.upper() + digits + "!#$%&'*+/=?^_`{|}~.-"


def zone(name: str) -> tzinfo | None:
    """One of `ZONES`; None as for a name nobody knows."""
    return ZoneInfo(name) if name in ZONES else None


def moments(first: int = 2024, last: int = 2029) -> SearchStrategy[datetime]:
    """Aware instants, UTC, to the microsecond, from the start of one year to the end of another."""
    bounds = datetime(first, 1, 1), datetime(last, 12, 31, 23, 59)  # noqa: DTZ001  Hypothesis adds the zone
    return st.datetimes(*bounds, timezones=st.just(UTC))


def spans(longest: timedelta = timedelta(days=3)) -> SearchStrategy[timedelta]:
    """Time spans from a second up."""
    return st.timedeltas(timedelta(seconds=1), longest)


def chances() -> SearchStrategy[float]:
    """What stands in for chance: [0, 1)."""
    return st.floats(0, 1, exclude_max=True)


def names(longest: int = 24) -> SearchStrategy[str]:
    """Identifiers: ids, codes, keys."""
    return st.text(ascii_lowercase + digits + "_-", min_size=1, max_size=longest)


def texts(longest: int = 60) -> SearchStrategy[str]:
    """What people write, in any script: no controls and no lone surrogates."""
    return st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=longest)


def documents() -> SearchStrategy[dict[str, Any]]:
    """JSON objects one level deep: variables and metadata."""
    return st.dictionaries(names(), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts(), max_size=4)


def emails() -> SearchStrategy[EmailAddress]:
    """Email addresses at reserved domains (RFC 2606)."""
    domains = st.sampled_from(("example.com", "example.org", "mail.example.net", "xn--bcher-kva.example.com"))
    return st.builds(
        lambda local, domain: EmailAddress(f"{local}@{domain}"), st.text(_ATEXT, min_size=1, max_size=40), domains
    )


def phones() -> SearchStrategy[PhoneNumber]:
    """Telephone numbers of a range that reaches nobody."""
    return st.integers(0, 9999).map(lambda number: PhoneNumber(f"+1500555{number:04}"))


def channels() -> SearchStrategy[Channel]:
    """The channels there are."""
    return st.sampled_from(tuple(CHANNELS))


def addresses(channel: Channel) -> SearchStrategy[Address]:
    """Addresses of the kind a channel needs."""
    return emails() if channel == EMAIL else phones()


def users() -> SearchStrategy[UserRef]:
    """References to people, few enough to meet the same one again."""
    return st.builds(UserRef, tenant=st.sampled_from(("default", "other")), user_id=names(8))


def wall_times() -> SearchStrategy[time]:
    """Times of day to the minute."""
    return st.builds(time, st.integers(0, 23), st.integers(0, 59))


def quiet_hours() -> SearchStrategy[QuietHours]:
    """Daily windows, with a zone of their own or not; some span midnight, some are empty."""
    return st.builds(QuietHours, start=wall_times(), end=wall_times(), zone=st.none() | st.sampled_from(ZONES))


def caps() -> SearchStrategy[Cap]:
    """Frequency caps, in whole seconds."""
    window = st.integers(1, 7 * 24 * 3600).map(lambda seconds: timedelta(seconds=seconds))
    return st.builds(Cap, count=st.integers(1, 5), window=window)


def suppressions() -> SearchStrategy[Suppression]:
    """Reasons never to write again."""
    return st.builds(Suppression, cause=st.sampled_from(("bounce", "complaint", "unsubscribe", "stop")), at=moments())


def contact_points(channel: Channel) -> SearchStrategy[ContactPoint]:
    """Contact points of one channel: known or not, every switch on, off or never set; most can be used."""
    switch = st.sampled_from((None, True, True, False))
    return st.builds(
        ContactPoint,
        channel=st.just(channel),
        address=addresses(channel) | addresses(channel) | st.none(),
        enabled=switch,
        opt_in=switch,
        respects_quiet_hours=switch,
        cap=st.none() | caps(),
        suppression=st.none() | st.none() | st.none() | suppressions(),
        epoch=st.integers(0, 2**31),
        recent=st.lists(moments(2026, 2026), max_size=6).map(tuple),
    )


def people() -> SearchStrategy[Person]:
    """People with any of the contact points, switches, zones and choices there can be, and people unknown."""
    points = {channel: contact_points(channel) for channel in CHANNELS}
    chosen = st.lists(channels(), unique=True).map(tuple)
    return st.builds(
        Person,
        user=users(),
        contacts=st.fixed_dictionaries({}, optional=points),
        global_enabled=st.sampled_from((True, True, True, False)),
        timezone=st.none() | st.sampled_from(ZONES),
        language=st.none() | st.sampled_from(("en", "es", "de-AT")),
        quiet_hours=st.none() | quiet_hours(),
        type_channels=st.dictionaries(st.sampled_from(TYPES), chosen, max_size=2),
    )


def fields() -> SearchStrategy[dict[Field, Any]]:
    """Fields of a profile with values as they are stored: JSON, in canonical form."""
    switches = {f"{name}.{channel}": st.booleans() for name in ("enabled", "opt_in", "quiet") for channel in CHANNELS}
    clock = wall_times().map(lambda moment: f"{moment:%H:%M}")
    hours = st.fixed_dictionaries(
        {"enabled": st.booleans(), "start": clock, "end": clock}, optional={"timezone": st.sampled_from(ZONES)}
    )
    cap = st.fixed_dictionaries({"count": st.integers(1, 5), "window_s": st.integers(1, 10**6)})
    values: dict[Field, SearchStrategy[Any]] = switches | {
        "email": emails().map(lambda address: address.value),
        "phone": phones().map(lambda address: address.value),
        "global_enabled": st.booleans(),
        "timezone": st.sampled_from(ZONES),
        "language": st.sampled_from(("en", "es", "de-AT")),
        "quiet_hours": hours,
        "cap.sms": cap,
        "channels.reminder": st.lists(channels(), unique=True),
    }
    return st.fixed_dictionaries({}, optional=values)


def facts(user: UserRef) -> SearchStrategy[Fact]:
    """What events and API calls say about one person, close enough in time to tie."""
    at = st.integers(0, 3).map(lambda hours: datetime(2026, 5, 1, hours, tzinfo=UTC)) | moments()
    return st.builds(Fact, user=st.just(user), source=st.sampled_from(Source), at=at, fields=fields())


@st.composite
def profiles(draw: DrawFn) -> Profile:
    """Profiles that such facts can lead to, stored or not yet."""
    known = {
        name: Known(value, draw(st.sampled_from(Source)), draw(moments())) for name, value in draw(fields()).items()
    }
    entitled = {
        name: evolve(one, source=max(one.source, Source.EVENT)) if _guarded(name) else one
        for name, one in known.items()
    }
    return Profile(user=draw(users()), fields=entitled, version=draw(st.integers(0, 1000)))


def _guarded(name: Field) -> bool:
    return name in CONTACTS or name.startswith("opt_in.")


def notification_types() -> SearchStrategy[NotificationType]:
    """Entries a catalogue could have."""
    return st.builds(
        NotificationType,
        name=st.sampled_from(TYPES),
        priority=st.sampled_from(Priority),
        channels=st.lists(channels(), min_size=1, unique=True).map(tuple),
        window=spans(),
        ttl=spans(),
        in_doubt=st.sampled_from(InDoubt),
        over_cap=st.sampled_from(OverCap),
        required=st.lists(names(), max_size=3, unique=True).map(tuple),
        optional=st.lists(names(), max_size=3, unique=True).map(tuple),
        duplicates_allowed=st.booleans(),
        unsubscribable=st.booleans(),
        batch=st.none() | st.integers(1, 1000),
    )


def retry_policies() -> SearchStrategy[RetryPolicy]:
    """Back-offs from gentle to steep; some allow one try alone."""
    return st.builds(
        RetryPolicy,
        first=spans(timedelta(minutes=5)),
        factor=st.floats(1, 10),
        jitter=st.floats(0, 0.5),
        tries=st.integers(1, 40),
        longest=spans(timedelta(days=1)),
        lane_pause=spans(timedelta(minutes=5)),
        longest_lane_pause=spans(timedelta(minutes=30)).map(lambda span: span + timedelta(minutes=5)),
    )


def allowlists() -> SearchStrategy[AllowList]:
    """Lists of addresses and domains, the empty one included."""
    return st.builds(AllowList, entries=st.frozensets(st.sampled_from(("example.com", "+15005550001")), max_size=2))


def policies() -> SearchStrategy[Policy]:
    """Policies over the real channels and `ZONES`."""
    return st.builds(
        Policy,
        zones=st.just(zone),
        contact_grace=st.just(timedelta()) | spans(timedelta(minutes=30)),
        quiet_spread=st.just(timedelta()) | spans(timedelta(minutes=10)),
        allowlist=st.none() | allowlists(),
        retry=retry_policies(),
    )


@st.composite
def requests(draw: DrawFn) -> Request:
    """Requests with and without a key, named channels, a schedule."""
    event_at = draw(moments())
    return Request(
        identity=draw(st.binary(min_size=16, max_size=16)),
        user=draw(users()),
        type=draw(st.sampled_from(TYPES)),
        event_at=event_at,
        key=draw(st.none() | names()),
        variables=draw(documents()),
        channels=draw(st.none() | st.lists(channels(), min_size=1, unique=True).map(tuple)),
        scheduled_at=draw(st.none() | spans().map(lambda span: event_at + span)),
        correlation_id=draw(st.none() | names()),
        metadata=draw(documents()),
    )


@st.composite
def notifications(draw: DrawFn) -> Notification:
    """Notifications as planning makes them, soon after their event."""
    person, request = draw(people()), draw(requests())
    type_ = evolve(draw(notification_types()), name=request.type)
    now = request.event_at + draw(spans(timedelta(days=1)))
    return plan(
        evolve(request, user=person.user), type_, person, draw(policies()), now, chance=draw(chances()), catalogue="1"
    )


def decisions(channel: Channel) -> SearchStrategy[Decision]:
    """Any verdict on a channel."""
    reason = st.sampled_from(Reason)
    return (
        st.just(Decision.send(channel))
        | st.builds(Decision.skip, st.just(channel), reason)
        | st.builds(Decision.defer, st.just(channel), reason, moments())
    )
