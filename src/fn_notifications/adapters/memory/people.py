"""Profiles and contact points in memory."""

import asyncio
from collections.abc import Collection, Sequence

from attrs import evolve, frozen

from fn_notifications.adapters.memory.state import State
from fn_notifications.application.errors import Conflict
from fn_notifications.application.ports.people import Dossier, Loaded, OptOut
from fn_notifications.domain.address import Address, Channel
from fn_notifications.domain.preferences import (
    ContactPoint,
    Person,
    Profile,
    Suppression,
    UserRef,
    contact_point,
    person,
)
from fn_notifications.domain.reasons import Reason


def person_of(state: State, user: UserRef) -> Person:
    """A person as the rules see them, from what is held now."""
    profile = state.profiles.get(user, Profile(user=user))
    points = {channel: state.points.get((user, channel)) for channel in state.channels}
    return person(user, profile.said, {channel: point for channel, point in points.items() if point})


def store_profiles(state: State, profiles: Sequence[Profile]) -> None:
    """Check every version, then store; contact points and waiting deliveries follow. The lock is the caller's."""
    for profile in profiles:
        held = state.profiles.get(profile.user)
        if (held.version if held else 0) != profile.version:
            raise Conflict("a profile has changed since it was read")
    for profile in profiles:
        was_on = _on(state.profiles.get(profile.user, profile))
        state.profiles[profile.user] = evolve(profile, version=profile.version + 1)
        for channel in state.channels:
            _store_point(state, profile, channel, switched=_on(profile) is not was_on)
        _wake(state, profile.user)


def _on(profile: Profile) -> bool:
    return profile.get("global_enabled") is not False


def _store_point(state: State, profile: Profile, channel: Channel, *, switched: bool) -> None:
    """`switched`: the person turned everything off or on, which is a change of consent on every channel."""
    new = contact_point(profile, channel, state.channels[channel].address)
    held = state.points.get((profile.user, channel))
    old = held or ContactPoint(channel=channel)
    new = evolve(
        new,
        suppression=_suppression(state, profile.user.tenant, new),
        epoch=old.epoch,
        recent=old.recent if new.cap else (),
    )
    if new != old or (held and switched):
        state.points[profile.user, channel] = evolve(new, epoch=old.epoch + 1)


def _suppression(state: State, tenant: str, point: ContactPoint) -> Suppression | None:
    return _in_force(state, (tenant, point.channel, point.address.lookup)) if point.address else None


def _in_force(state: State, address: tuple[str, Channel, str]) -> Suppression | None:
    """The latest of the opt-outs of an address that were not lifted."""
    words = sorted(state.suppressions.get(address, {}).items())
    out = [Suppression(cause=cause, at=at) for cause, (at, stays_out) in words if stays_out]
    return max(out, key=lambda one: one.at, default=None)


def _wake(state: State, user: UserRef) -> None:
    """Deliveries that waited for a contact point which now exists are due at once."""
    for key, place in list(state.due.items()):
        delivery = state.deliveries[key]
        point = state.points.get((user, delivery.channel))
        owner = state.notifications[key.tenant, key.notification_id].user
        if delivery.reason is Reason.AWAITING_CONTACT and owner == user and point and point.address:
            state.due[key] = evolve(place, at=state.clock())


def suppress(state: State, opt_out: OptOut) -> bool:
    """Apply one opt-out to every contact point with its address. The lock is the caller's.

    Per address and cause the latest word counts, and of two at one moment the one that opts out.
    """
    address = (opt_out.tenant, opt_out.channel, opt_out.address.lookup)
    words = state.suppressions.setdefault(address, {})
    word = (opt_out.at, not opt_out.lifted)
    if opt_out.cause in words and word <= words[opt_out.cause]:
        return False
    words[opt_out.cause] = word
    suppression = _in_force(state, address)
    for (user, channel), point in list(state.points.items()):
        same = point.address is not None and (user.tenant, channel, point.address.lookup) == address
        if same and point.suppression != suppression:
            state.points[user, channel] = evolve(point, suppression=suppression, epoch=point.epoch + 1)
    return True


@frozen
class MemoryPeople:
    """The People port over a `State`."""

    state: State

    async def load(self, users: Collection[UserRef]) -> Loaded:
        """See the port."""
        await asyncio.sleep(0)
        return Loaded(
            now=self.state.clock(),
            dossiers={
                user: Dossier(
                    profile=self.state.profiles.get(user, Profile(user=user)), person=person_of(self.state, user)
                )
                for user in users
            },
        )

    async def sharing(self, tenant: str, channel: Channel, address: Address, limit: int) -> Sequence[UserRef]:
        """See the port."""
        await asyncio.sleep(0)
        at_it = [
            user
            for (user, of), point in self.state.points.items()
            if (user.tenant, of) == (tenant, channel) and point.address and point.address.lookup == address.lookup
        ]
        return sorted(at_it, key=lambda user: user.user_id)[:limit]

    async def save(self, profiles: Sequence[Profile]) -> None:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            store_profiles(self.state, profiles)

    async def suppress(self, opt_outs: Sequence[OptOut]) -> int:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            return sum(suppress(self.state, opt_out) for opt_out in opt_outs)
