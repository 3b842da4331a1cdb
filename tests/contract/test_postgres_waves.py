"""What many statements find for a wave comes together rightly, though for some of it nothing is found."""

from datetime import datetime
from uuid import UUID

import pytest
from attrs import evolve
from tests.services.stores import VAULT

from fn_notifications.adapters.postgres.aggregates import Aggregates
from fn_notifications.adapters.postgres.pool import Database
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.application.ports.deliveries import Candidate
from fn_notifications.domain.address import EMAIL, EmailAddress
from fn_notifications.domain.commands import Begin
from fn_notifications.domain.delivery import DeliveryKey
from fn_notifications.testing.contracts.stores import TENANT, Stores, allowing, claim, meet, told, user

pytestmark = pytest.mark.external

NOBODYS = UUID(int=0)
"""Sorts before every other."""
PEOPLE = ("ada", "bea", "cyd", "dan", "eve")


async def test_everybody_in_a_wave_is_seen_as_themselves(world: tuple[Stores, Database]) -> None:
    """With a delivery that is gone, one person's contact point and another's profile."""
    stores, database = world
    for name in PEOPLE:
        await meet(stores, user(name), email=f"{name}@example.com", language=name)
        await told(stores, user(name), name)
    leases = await claim(stores)
    gone = evolve(leases[0], key=DeliveryKey(tenant=TENANT, notification_id=NOBODYS, no=1))
    async with database.transaction() as connection:
        await connection.execute("DELETE FROM contact_points WHERE user_id = 'ada'")
        await connection.execute("DELETE FROM user_preferences WHERE user_id = 'bea'")
    seen: dict[str, tuple[object, ...]] = {}

    def gate(candidate: Candidate, now: datetime) -> Begin:
        person, notification = candidate.person, candidate.notification
        contact = person.contacts.get(EMAIL)
        assert person.user == notification.user
        assert candidate.delivery.key.notification_id == notification.id
        seen[person.user.user_id] = (notification.variables["name"], contact and contact.address, person.language)
        return allowing()(candidate, now)

    wave = await stores.deliveries.begin([gone, *leases], gate)
    assert seen == {
        "ada": ("ada", None, None),
        "bea": ("bea", EmailAddress("bea@example.com"), None),
        **{name: (name, EmailAddress(f"{name}@example.com"), name) for name in PEOPLE[2:]},
    }
    assert [one.delivery.key for one in wave] == [one.lease.key for one in wave]
    assert {one.person.user.user_id for one in wave} == {*PEOPLE} - {"ada"}


async def test_notifications_are_read_with_what_is_theirs(world: tuple[Stores, Database]) -> None:
    """Their deliveries and attempts, and not those of one that was asked for and does not exist."""
    stores, database = world
    for name in PEOPLE:
        await meet(stores, user(name), email=f"{name}@example.com")
        await told(stores, user(name), name)
    wave = await stores.deliveries.begin(await claim(stores), allowing())
    ids = [(TENANT, one.notification.id) for one in wave]
    async with database.transaction() as connection:
        wholes = await Aggregates(Seals(VAULT)).read(connection, [(TENANT, NOBODYS), *ids], opened=True)
    read = {key: (whole.notification.variables, whole.deliveries) for key, whole in wholes.items()}
    assert read == {key: (one.notification.variables, (one.delivery,)) for key, one in zip(ids, wave, strict=True)}
