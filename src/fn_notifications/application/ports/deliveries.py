"""The deliveries' own store: what is due, who works on it, and every change to one."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from attrs import field, frozen

from fn_notifications.application.ports.people import OptOut
from fn_notifications.domain.address import Channel
from fn_notifications.domain.commands import Begin, Command, Record
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.preferences import Person
from fn_notifications.domain.routes import Board


@frozen(kw_only=True)
class Lease:
    """The right to work on a delivery for a while. `token` grows with every lease of it: an older one is void."""

    key: DeliveryKey
    channel: Channel
    token: int
    until: datetime
    """When it runs out, by the store's time."""


@frozen(kw_only=True)
class Candidate:
    """A leased delivery as it is found under lock when a call is about to start."""

    notification: Notification = field(repr=False)
    delivery: Delivery
    person: Person = field(repr=False)
    board: Board = field(factory=Board, repr=False)
    """The ways out. A route whose way wants a probe is let through once: the next candidate finds it shut."""


@frozen(kw_only=True)
class Begun:
    """A delivery whose attempt is committed: the call may go out now."""

    lease: Lease
    notification: Notification = field(repr=False)
    delivery: Delivery
    person: Person = field(repr=False)


@frozen(kw_only=True)
class Waiting:
    """A page of deliveries that wait."""

    keys: tuple[DeliveryKey, ...] = ()
    next: DeliveryKey | None = None
    """What the next page comes after; None: this was the last."""


@frozen(kw_only=True)
class Answer:
    """What a call came to, to be written down under the lease it was made under."""

    begun: Begun
    """As it was when the call went out: whoever keeps it need not read again what nobody changed since."""
    record: Record
    opt_out: OptOut | None = field(default=None, repr=False)
    """The provider said this person opted out: stored in the same transaction (see `People.suppress`)."""


Gate = Callable[[Candidate, datetime], Begin]
"""Runs the rules again, at the store's time."""
Choice = Callable[[Notification, Delivery, datetime], Command | None]
"""What to do about one delivery, at the store's time; None leaves it alone. The notification comes with all its
deliveries, so that a type may look whether another channel arrived, and without what is sealed of it: what cannot be
opened can still be rescued and settled."""


class Deliveries(Protocol):
    """Every state change of a delivery is the domain's `decide` and `evolve`, under lock, in one transaction with its
    event-log rows. Time is the store's own.
    """

    async def claim(self, wanted: Mapping[Channel, int], *, worker: str, lease: timedelta) -> Sequence[Lease]:
        """Lease up to so many due deliveries per channel: most urgent first, then by rank, then the longest due.

        Only leases. No two workers hold a live lease on one delivery.
        """
        ...

    async def begin(self, leases: Sequence[Lease], gate: Gate) -> Sequence[Begun]:
        """Lock, look again, and commit an attempt for each that may go.

        Contact points are share-locked before they are read, so an opt-out that committed earlier is always seen; and
        so are holds, so that a release finds whatever was deferred for it. Where the way an attempt goes wants a probe
        (see `Board.probed`), this attempt is it, for all processes.
        Leases that are void are passed over; what the gate defers, skips or expires is written down and not returned.
        """
        ...

    async def finish(self, answers: Sequence[Answer]) -> Sequence[Delivery]:
        """Write answers down, and end their leases. Returns the states, in order.

        Idempotent. An answer whose lease is lost is still evidence about its attempt and is kept as such, and among
        the delivery's changes as a late one (see `late_answer`); it takes nothing from the new holder.
        """
        ...

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give back leases that nothing was begun under; due again at once. Void ones are passed over."""
        ...

    async def change(self, keys: Collection[DeliveryKey], choose: Choice) -> Sequence[Delivery]:
        """Apply a command to each delivery, under lock. Returns those that changed.

        Unknown keys are passed over, and so is a delivery whose call is on the wire under a living lease: only whoever
        holds it can say anything about it.
        """
        ...

    async def waiting(
        self, tenant: str, type_: str, before: datetime, *, after: DeliveryKey | None = None, limit: int = 1000
    ) -> Waiting:
        """Pending deliveries of notifications of this type that were planned before a time, in order of their keys.

        A page looks at `limit` deliveries at most, and may hold none of them though another page follows.
        """
        ...

    async def overdue(self, limit: int) -> Sequence[DeliveryKey]:
        """Deliveries that nobody works on and whose time has come otherwise: a dead lease with an open attempt, even
        where another attempt arrived; a doubt whose grace is over; one that was sent and is to be asked about. A dead
        lease without an attempt is simply due again and never stands here.
        """
        ...

    async def outlived(self, limit: int) -> Sequence[DeliveryKey]:
        """Pending deliveries whose time to live is over and that no living lease is on, the longest over first:
        whether or not anybody would ever claim them.
        """
        ...
