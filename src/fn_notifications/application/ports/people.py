"""What is held about people: profiles, contact points, suppressions."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from fn_notifications.application.ports.vault import VaultError
from fn_notifications.domain.address import Address, Channel
from fn_notifications.domain.preferences import Person, Profile, UserRef


@frozen(kw_only=True)
class Dossier:
    """A person as stored: the profile to merge facts into, and the same as the rules see it."""

    profile: Profile
    person: Person


@frozen(kw_only=True)
class Loaded:
    """Dossiers with the store's own time of reading."""

    now: datetime
    dossiers: Mapping[UserRef, Dossier]
    unreadable: frozenset[UserRef] = frozenset()
    """Those of whom something is held that no key opens, while others' can be opened. They have no dossier here."""

    def of(self, user: UserRef) -> Dossier:
        """A user's dossier. Raises `VaultError` when it is unreadable."""
        if user in self.unreadable:
            raise VaultError("what is held about this person opens with none of the keys")
        return self.dossiers[user]


@frozen(kw_only=True)
class OptOut:
    """An address that must not be written to on a channel any more, or (`lifted`) may be again."""

    tenant: str
    channel: Channel
    address: Address
    cause: str
    """`stop`, `unsubscribe`, `complaint`, `bounce`: a lift undoes its own cause only."""
    at: datetime
    """By the clock of whoever reported it: the latest word counts, a tie stays opted out."""
    lifted: bool = False


class People(Protocol):
    """Profiles, and the contact points that consent is read from."""

    async def load(self, users: Collection[UserRef]) -> Loaded:
        """A dossier for every user asked for who is not unreadable; an empty profile of version 0 for those nobody told
        us of.

        Raises `VaultError` when nothing can be opened: then it is the key, and not the row.
        """
        ...

    async def sharing(self, tenant: str, channel: Channel, address: Address, limit: int) -> Sequence[UserRef]:
        """Up to `limit` users with this address on this channel, however it is written, in order of their ids."""
        ...

    async def save(self, profiles: Sequence[Profile]) -> None:
        """Store profiles, in one transaction, where the stored version is still the one each was read at.

        Contact points follow; each whose address, switch or opt-in changes gets the next consent epoch, and the
        suppression of its new address. Deliveries that waited for a contact point that now exists are due at once.
        Raises `Conflict`, having stored nothing, when any version moved.
        """
        ...

    async def suppress(self, opt_outs: Sequence[OptOut]) -> int:
        """Apply opt-outs and lifts, in one transaction: to every contact point with that address.

        Idempotent; order does not matter (the latest `at` counts). Returns how many changed anything.
        """
        ...


class PreferenceCache(Protocol):
    """Dossiers kept for a while, for intake only: never for the gates when a call starts."""

    async def get(self, users: Collection[UserRef]) -> Mapping[UserRef, Dossier]:
        """Those that are held and not too old. A cache that cannot be reached holds nothing."""
        ...

    async def put(self, dossiers: Collection[Dossier]) -> None:
        """Keep these. Failing to is no error."""
        ...

    async def drop(self, users: Collection[UserRef]) -> None:
        """Forget these, because they changed."""
        ...
