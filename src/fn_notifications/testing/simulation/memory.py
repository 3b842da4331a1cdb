"""What there ever was in the store, pruned or not: the watch looks at every value that is put into it."""

from collections.abc import Callable
from typing import TypeVar

from attrs import define, field

from fn_notifications.adapters.memory.state import NotificationKey, State
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.notification import Notification

K = TypeVar("K")
V = TypeVar("V")


class Watched(dict[K, V]):
    """A dictionary that tells of every value that is put into it."""

    def __init__(self, tell: Callable[[K, V | None, V], None]) -> None:
        super().__init__()
        self._tell = tell

    def __setitem__(self, key: K, value: V) -> None:
        before = self.get(key)
        super().__setitem__(key, value)
        self._tell(key, before, value)


@define(eq=False, repr=False)
class Remembered:
    """Everything that was ever stored, as it last was."""

    notifications: dict[NotificationKey, Notification] = field(factory=dict)
    deliveries: dict[DeliveryKey, Delivery] = field(factory=dict)
    identities: dict[tuple[str, bytes], bytes] = field(factory=dict)
    held: dict[tuple[bytes, str, str], int] = field(factory=dict)
    """By event, person and type: what was ever in quarantine."""
    receipts: dict[NotificationKey, int] = field(factory=dict)
    dead: dict[tuple[str, int, int], int] = field(factory=dict)
    """By topic, partition and offset: dead letters."""

    def of(self, state: State) -> None:
        """Look at this state from now on."""
        state.notifications = Watched(lambda key, _, value: self.notifications.__setitem__(key, value))
        state.identities = Watched(lambda key, _, value: self.identities.__setitem__(key, value))
        state.receipts = Watched(lambda key, _, value: self.receipts.__setitem__(key, len(value)))
        state.quarantine = Watched(
            lambda id_, _, one: self.held.__setitem__((one.identity, one.held.user_id, one.held.type), id_)
        )
        state.originals = Watched(
            lambda id_, _, one: self.dead.__setitem__(
                (one.position.topic, one.position.partition, one.position.offset), id_
            )
        )
