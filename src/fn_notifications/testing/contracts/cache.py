"""What every `PreferenceCache` keeps to. Subclass, provide the `subject` fixture, and pytest runs the rules."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from typing import Final

from attrs import evolve, frozen

from fn_notifications.application.ports.people import Dossier, PreferenceCache
from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, EmailAddress, PhoneNumber
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

TTL: Final = 300.0
"""Seconds that a subject keeps a dossier."""

_AT: Final = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


@frozen(kw_only=True)
class Subject:
    """A cache under test, and a way to let time pass for it."""

    cache: PreferenceCache
    pass_time: Callable[[float], Awaitable[None]]
    """Seconds."""


def dossier(user_id: str = "u-1", tenant: str = "default", *, version: int = 3) -> Dossier:
    """Somebody of whom everything is known that can be."""
    user = UserRef(tenant=tenant, user_id=user_id)
    fields = {
        "email": "canary.person@example.com",
        "phone": "+15005550006",
        "global_enabled": True,
        "timezone": "Europe/Berlin",
        "language": None,
        "quiet_hours": {"enabled": True, "start": "22:00", "end": "07:30", "timezone": "Europe/Berlin"},
        "opt_in.whatsapp": False,
        "cap.sms": {"count": 3, "window_s": 86400},
        "channels.match_detected": ["email", "sms"],
    }
    return Dossier(
        profile=Profile(
            user=user, fields={name: Known(value, Source.USER, _AT) for name, value in fields.items()}, version=version
        ),
        person=Person(
            user=user,
            contacts={
                EMAIL: ContactPoint(channel=EMAIL, address=EmailAddress("canary.person@example.com"), enabled=True),
                SMS: ContactPoint(
                    channel=SMS,
                    address=PhoneNumber("+15005550006"),
                    cap=Cap(count=3, window=timedelta(days=1)),
                    suppression=Suppression(cause="stop", at=_AT),
                    epoch=4,
                    recent=(_AT, _AT + timedelta(minutes=5)),
                ),
                WHATSAPP: ContactPoint(channel=WHATSAPP, opt_in=False, respects_quiet_hours=True),
            },
            timezone="Europe/Berlin",
            quiet_hours=QuietHours(start=time(22), end=time(7, 30), zone="Europe/Berlin"),
            type_channels={"match_detected": (EMAIL, SMS)},
        ),
    )


def stranger(user_id: str = "u-0") -> Dossier:
    """Somebody nobody told us of."""
    user = UserRef(tenant="default", user_id=user_id)
    return Dossier(profile=Profile(user=user), person=Person(user=user))


async def _held(subject: Subject, *dossiers: Dossier) -> list[Dossier]:
    users = [one.profile.user for one in dossiers]
    found = await subject.cache.get(users)
    return [found[user] for user in users if user in found]


class PreferenceCacheContract:
    """Rules for keeping, ageing and forgetting."""

    async def test_nothing_is_held_at_first(self, subject: Subject) -> None:
        """Whoever is asked for."""
        assert await _held(subject, dossier()) == []

    async def test_what_was_put_comes_back_equal(self, subject: Subject) -> None:
        """To the last field and microsecond, for somebody well known and for a stranger."""
        await subject.cache.put([dossier(), stranger()])
        assert await _held(subject, dossier(), stranger()) == [dossier(), stranger()]

    async def test_only_those_asked_for_come_back(self, subject: Subject) -> None:
        """And of those only the ones that are held."""
        await subject.cache.put([dossier("u-1"), dossier("u-2")])
        found = await subject.cache.get([dossier("u-2").profile.user, dossier("u-3").profile.user])
        assert dict(found) == {dossier("u-2").profile.user: dossier("u-2")}

    async def test_the_latest_put_counts(self, subject: Subject) -> None:
        """One dossier per person."""
        await subject.cache.put([dossier(version=3)])
        await subject.cache.put([dossier(version=4)])
        assert await _held(subject, dossier()) == [dossier(version=4)]

    async def test_tenants_are_kept_apart(self, subject: Subject) -> None:
        """However names and tenants run into each other."""
        alike = [dossier("bc", "a"), dossier("c", "ab"), dossier(":bc", "a"), dossier("bc", "a:")]
        await subject.cache.put(alike[:1])
        assert await _held(subject, *alike) == alike[:1]
        await subject.cache.put(alike)
        assert await _held(subject, *alike) == alike

    async def test_names_may_be_anything(self, subject: Subject) -> None:
        """Long, empty, in any script, with any character."""
        odd = [dossier(name) for name in ("", "ü ✓", "a\0b\r\nc", "x" * 5000, "*", "u-1")]
        await subject.cache.put(odd)
        assert await _held(subject, *odd) == odd

    async def test_a_dossier_grows_too_old(self, subject: Subject) -> None:
        """Just before its time it is held, after it no more; reading does not keep it young."""
        await subject.cache.put([dossier()])
        await subject.pass_time(TTL - 1)
        assert await _held(subject, dossier()) == [dossier()]
        await subject.pass_time(2)
        assert await _held(subject, dossier()) == []

    async def test_putting_again_starts_its_time_again(self, subject: Subject) -> None:
        """Because it was read again."""
        await subject.cache.put([dossier()])
        await subject.pass_time(TTL - 1)
        await subject.cache.put([dossier()])
        await subject.pass_time(TTL - 1)
        assert await _held(subject, dossier()) == [dossier()]

    async def test_what_was_dropped_is_gone(self, subject: Subject) -> None:
        """At once, and only that; dropping what is not held is nothing."""
        await subject.cache.put([dossier("u-1"), dossier("u-2")])
        await subject.cache.drop([dossier("u-1").profile.user, dossier("u-9").profile.user])
        assert await _held(subject, dossier("u-1"), dossier("u-2")) == [dossier("u-2")]

    async def test_nothing_asked_nothing_done(self, subject: Subject) -> None:
        """Empty batches are fine."""
        await subject.cache.put([])
        await subject.cache.drop([])
        assert dict(await subject.cache.get([])) == {}

    async def test_many_at_once(self, subject: Subject) -> None:
        """A batch is one exchange, of any size that intake uses."""
        many = [dossier(f"u-{number}") for number in range(500)]
        await subject.cache.put(many)
        assert await _held(subject, *many) == many

    async def test_nothing_personal_is_shown(self, subject: Subject) -> None:
        """Not by the cache's own repr."""
        await subject.cache.put([evolve(dossier(), profile=dossier("canary-name").profile)])
        assert "canary" not in f"{subject.cache!r} {subject.cache}"
