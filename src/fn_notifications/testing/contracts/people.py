"""What every `People` store keeps to. Subclass, provide the `stores` fixture, and pytest runs the rules."""

import asyncio
from datetime import timedelta
from itertools import permutations

import pytest
from attrs import evolve

from fn_notifications.application.errors import Conflict
from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP
from fn_notifications.domain.caps import Cap
from fn_notifications.domain.preferences import Fact, Known, Profile, Source, merge
from fn_notifications.testing.contracts.stores import (
    ADA,
    ADA_LOUD,
    BEA,
    PHONE,
    Stores,
    dossier,
    meet,
    now,
    point,
    start,
    stop,
    user,
)

SECOND = timedelta(seconds=1)


class PeopleContract:
    """Rules for profiles, contact points and suppressions."""

    async def test_nobody_is_known_at_first(self, stores: Stores) -> None:
        """Somebody nobody told us of has an empty profile of version 0; the store says what time it is."""
        loaded = await stores.people.load([user("ada"), user("bea")])
        assert loaded.now.utcoffset() == timedelta(0)
        assert loaded.dossiers.keys() == {user("ada"), user("bea")}
        assert loaded.dossiers[user("ada")].profile == Profile(user=user("ada"))
        assert not loaded.dossiers[user("ada")].person.known

    async def test_a_profile_comes_back_as_it_was(self, stores: Stores) -> None:
        """Every field with its value, source and time, addresses included; the version grows."""
        at = await now(stores)
        fields = {
            "email": Known(ADA.value, Source.EVENT, at),
            "phone": Known(None, Source.USER, at + SECOND),
            "timezone": Known("Europe/Berlin", Source.PROVISIONAL, at - SECOND),
            "quiet_hours": Known({"start": "22:00", "end": "07:00", "enabled": True}, Source.USER, at),
            "channels.news": Known(["email", "sms"], Source.USER, at),
            "enabled.sms": Known(False, Source.USER, at),
        }
        await stores.people.save([Profile(user=user(), fields=fields)])
        assert (await dossier(stores, user())).profile == Profile(user=user(), fields=fields, version=1)

    async def test_contact_points_follow_the_profile(self, stores: Stores) -> None:
        """Address, switch, opt-in, quiet hours and cap of each channel are what the fields say."""
        cap = {"count": 3, "window_s": 3600}
        await meet(stores, user(), email=ADA.value, phone=PHONE.value, enabled__sms=False, cap__email=cap)
        await meet(stores, user(), opt_in__whatsapp=True, quiet__email=True, global_enabled=False, language="es")
        person = (await dossier(stores, user())).person
        email, sms, whatsapp = (person.contacts[channel] for channel in (EMAIL, SMS, WHATSAPP))
        assert (email.address, email.respects_quiet_hours) == (ADA, True)
        assert email.cap == Cap(count=3, window=timedelta(hours=1))
        assert (sms.address, sms.enabled) == (PHONE, False)
        assert (whatsapp.address, whatsapp.opt_in) == (PHONE, True)
        assert (person.global_enabled, person.language) == (False, "es")

    async def test_an_old_version_is_a_conflict_and_nothing_is_stored(self, stores: Stores) -> None:
        """One profile that moved on keeps all of them out."""
        await meet(stores, user("ada"), language="en")
        old = (await dossier(stores, user("ada"))).profile
        await meet(stores, user("ada"), language="es")
        fact = Fact(user=user("bea"), source=Source.USER, at=await now(stores), fields={"language": "fr"})
        new = merge(Profile(user=user("bea")), [fact])
        with pytest.raises(Conflict):
            await stores.people.save([new, old])
        assert (await dossier(stores, user("bea"))).profile.version == 0
        assert (await dossier(stores, user("ada"))).profile.get("language") == "es"

    async def test_a_version_that_was_never_stored_is_a_conflict(self, stores: Stores) -> None:
        """A profile that is gone does not come back by itself."""
        with pytest.raises(Conflict):
            await stores.people.save([Profile(user=user(), version=3)])
        assert (await dossier(stores, user())).profile.version == 0

    async def test_of_many_at_once_one_is_stored(self, stores: Stores) -> None:
        """Whoever read the same version loses but for one, new profiles included."""
        for version in range(3):
            profile = (await dossier(stores, user())).profile
            saves = [
                stores.people.save(
                    [evolve(profile, fields={"language": Known(f"l{n}", Source.USER, await now(stores))})]
                )
                for n in range(8)
            ]
            results = await asyncio.gather(*saves, return_exceptions=True)
            assert sum(result is None for result in results) == 1
            assert sum(isinstance(result, Conflict) for result in results) == 7
            assert (await dossier(stores, user())).profile.version == version + 1

    async def test_the_epoch_counts_changes_of_consent(self, stores: Stores) -> None:
        """Address, either switch, opt-in and suppression each make a new epoch; a language does not."""
        await meet(stores, user(), email=ADA.value)
        epochs = [(await point(stores, user())).epoch]
        changes = ({"global_enabled": False}, {"enabled__email": False}, {"opt_in__email": True}, {"email": BEA.value})
        for change in changes:
            await meet(stores, user(), **change)
            epochs.append((await point(stores, user())).epoch)
        await stores.people.suppress([stop(BEA, await now(stores))])
        epochs.append((await point(stores, user())).epoch)
        assert epochs == sorted(set(epochs))
        await meet(stores, user(), language="fr")
        assert (await point(stores, user())).epoch == epochs[-1]

    async def test_an_opt_out_reaches_everybody_with_that_address(self, stores: Stores) -> None:
        """Whoever has it, however it is written; on that channel and in that tenant only."""
        elsewhere = user("ada", tenant="elsewhere")
        for who, address in ((user("ada"), ADA), (user("bea"), ADA_LOUD), (user("cy"), BEA), (elsewhere, ADA)):
            await meet(stores, who, email=address.value, phone=PHONE.value)
        assert await stores.people.suppress([stop(ADA, await now(stores))]) == 1
        assert await stores.people.suppress([stop(PHONE, await now(stores), channel=SMS)]) == 1
        causes = {who: (await point(stores, who)).suppression for who in (user("ada"), user("bea"))}
        assert {one and one.cause for one in causes.values()} == {"stop"}
        assert (await point(stores, user("cy"))).suppression is None
        assert (await point(stores, elsewhere)).suppression is None
        assert (await point(stores, user("cy"), SMS)).suppression
        assert (await point(stores, user("cy"), WHATSAPP)).suppression is None

    async def test_who_shares_an_address(self, stores: Stores) -> None:
        """However it is written; on that channel and in that tenant only; no more than were asked for."""
        elsewhere = user("ada", tenant="elsewhere")
        for who, address in ((user("bea"), ADA), (user("ada"), ADA_LOUD), (user("cy"), BEA), (elsewhere, ADA)):
            await meet(stores, who, email=address.value, phone=PHONE.value)
        sharing = stores.people.sharing
        assert list(await sharing(user().tenant, EMAIL, ADA, 10)) == [user("ada"), user("bea")]
        assert list(await sharing(user().tenant, EMAIL, ADA, 1)) == [user("ada")]
        assert list(await sharing(user().tenant, SMS, PHONE, 10)) == [user("ada"), user("bea"), user("cy")]
        assert list(await sharing(user().tenant, SMS, ADA, 10)) == []

    async def test_an_opt_out_again_changes_nothing(self, stores: Stores) -> None:
        """Reports come more than once."""
        await meet(stores, user(), email=ADA.value)
        word = stop(ADA, await now(stores))
        assert await stores.people.suppress([word]) == 1
        epoch = (await point(stores, user())).epoch
        assert await stores.people.suppress([word]) == 0
        assert (await point(stores, user())).epoch == epoch

    async def test_the_latest_word_counts_in_whatever_order(self, stores: Stores) -> None:
        """STOP, START, STOP is out, in any order of arrival; STOP, START is in; a tie is out."""
        at = await now(stores)
        stop1, start2, stop3 = stop(ADA, at), start(ADA, at + SECOND), stop(ADA, at + 2 * SECOND)
        cases = [(order, True) for order in permutations((stop1, start2, stop3))]
        cases += [(order, False) for order in permutations((stop1, start2))]
        cases += [(order, True) for order in permutations((stop1, start(ADA, at)))]
        for number, (order, out) in enumerate(cases):
            address = evolve(ADA, value=f"ada{number}@example.com")
            await meet(stores, user(), email=address.value)
            for word in order:
                await stores.people.suppress([evolve(word, address=address)])
            assert bool((await point(stores, user())).suppression) is out, order

    async def test_a_lift_undoes_its_own_cause_only(self, stores: Stores) -> None:
        """START after a complaint or a bounce changes nothing, a STOP before, between or after them or not."""
        at = await now(stores)
        words = (stop(ADA, at), stop(ADA, at + SECOND, cause="complaint"), start(ADA, at + 2 * SECOND))
        for number, order in enumerate([words[1:], *permutations(words)]):
            address = evolve(ADA, value=f"ada{number}@example.com")
            await meet(stores, user(), email=address.value)
            for word in order:
                await stores.people.suppress([evolve(word, address=address)])
            suppression = (await point(stores, user())).suppression
            assert suppression is not None, order
            assert suppression.cause == "complaint"

    async def test_an_address_stays_out_whoever_takes_it_on(self, stores: Stores) -> None:
        """A suppressed address is suppressed for the next one too; another address is free; the first again is not."""
        await stores.people.suppress([stop(ADA, await now(stores))])
        await meet(stores, user(), email=ADA_LOUD.value)
        assert (await point(stores, user())).suppression
        await meet(stores, user(), email=BEA.value)
        assert (await point(stores, user())).suppression is None
        await meet(stores, user(), email=ADA.value)
        assert (await point(stores, user())).suppression

    async def test_an_opt_out_and_a_change_of_address_never_miss_each_other(self, stores: Stores) -> None:
        """At the very same moment, either sees the other."""
        for number in range(20):
            who, address = user(f"user{number}"), evolve(ADA, value=f"ada{number}@example.com")
            await asyncio.gather(
                meet(stores, who, email=address.value),
                stores.people.suppress([stop(address, await now(stores))]),
            )
            assert (await point(stores, who)).suppression, number
