"""Dossiers kept in this process."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping

from attrs import field, frozen

from fn_notifications.application.ports.people import Dossier
from fn_notifications.domain.preferences import UserRef


@frozen
class MemoryPreferenceCache:
    """See `PreferenceCache`. When it is full, whoever was not asked for the longest is forgotten first."""

    ttl: float
    """Seconds from when a dossier was put in, however often it is read."""
    clock: Callable[[], float]
    """Monotonic, in seconds."""
    size: int = 5_000
    _held: OrderedDict[UserRef, tuple[float, Dossier]] = field(factory=OrderedDict, init=False, repr=False)

    async def get(self, users: Collection[UserRef]) -> Mapping[UserRef, Dossier]:
        """See `PreferenceCache`."""
        return {user: dossier for user in users if (dossier := self._fresh(user)) is not None}

    async def put(self, dossiers: Collection[Dossier]) -> None:
        """See `PreferenceCache`."""
        now = self.clock()
        for dossier in dossiers:
            user = dossier.profile.user
            self._held[user] = (now, dossier)
            self._held.move_to_end(user)
        while len(self._held) > self.size:
            self._held.popitem(last=False)

    async def drop(self, users: Collection[UserRef]) -> None:
        """See `PreferenceCache`."""
        for user in users:
            self._held.pop(user, None)

    def _fresh(self, user: UserRef) -> Dossier | None:
        since, dossier = self._held.get(user, (0.0, None))
        if dossier is None:
            return None
        if self.clock() - since >= self.ttl:
            del self._held[user]
            return None
        self._held.move_to_end(user)
        return dossier
