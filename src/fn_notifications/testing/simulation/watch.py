"""Looks on while it happens: what must hold at every moment is checked at that moment.

The memory store's transactions are exclusive, and a look right after a call's effect sees exactly what it committed.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import define, field

from fn_notifications.adapters.memory.state import State
from fn_notifications.application.changes import LATE
from fn_notifications.application.outward import Transition
from fn_notifications.application.ports.deliveries import Answer, Begun
from fn_notifications.domain import events as e
from fn_notifications.domain.address import WHATSAPP, Address, Channel
from fn_notifications.domain.delivery import Delivery, DeliveryKey, status_of
from fn_notifications.domain.events import Evidence
from fn_notifications.domain.lifecycle import OPEN, TRANSITIONS, Status
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.preferences import ContactPoint, Profile, UserRef
from fn_notifications.domain.reasons import Reason
from fn_notifications.testing.simulation.memory import Remembered, Watched

_MOST_ROUNDS: Final = 8
"""Of upkeep, until what outlived its time is over. One does; the store may fail in some."""


@define(eq=False, repr=False)
class Watch:
    """Everything that is seen, and everything that should not have been."""

    state: State
    note: Callable[[str, str, object], None]
    """Writes a line of the trace."""
    violations: list[str] = field(factory=list)
    transitions: Counter[tuple[Status | None, type[e.Event]]] = field(factory=Counter)
    remembered: Remembered = field(factory=Remembered)
    published: dict[str, None] = field(factory=dict)
    """Ids of what the event log says is to be published."""
    consents: dict[tuple[UserRef, Channel], tuple[int, object]] = field(factory=dict)
    """The last epoch of each contact point, and all that consent was read from then."""
    open_calls: dict[str, str] = field(factory=dict)
    """Attempts begun and not yet answered in the store, to the process that began them."""
    begun: dict[str, tuple[datetime, Address | None]] = field(factory=dict)
    """When each attempt was begun, and where it was to go."""
    ambiguous: dict[str, str] = field(factory=dict)
    """Attempts of which somebody could not know what became of them, and the first reason why."""
    doubted: list[str] = field(factory=list)
    """Attempts that came to be in doubt."""
    resends: int = 0
    taken_in: int = 0
    """Events in committed transactions."""
    _rounds: Counter[DeliveryKey] = field(factory=Counter)
    """Of what nobody holds and is open past its time to live: how many rounds of upkeep left it so."""
    _found: dict[str, set[DeliveryKey]] = field(factory=dict)
    """What of it each process found last."""
    _logged: int = 0
    _statuses: dict[DeliveryKey, Status | None] = field(factory=dict)
    _changes: Counter[DeliveryKey] = field(factory=Counter)
    """How many changes of a delivery the log was read up to."""

    def __attrs_post_init__(self) -> None:
        self.state.deliveries = Watched(self._changed)
        self.remembered.of(self.state)

    def wrong(self, what: str) -> None:
        """Something that must never be."""
        self.violations.append(what)

    def cut_off(self, life: str | None, why: str) -> None:
        """A process (None: every one) may not get to write down what it has on the wire."""
        for attempt, owner in self.open_calls.items():
            if life in (None, owner):
                self.ambiguous.setdefault(attempt, why)

    def saw(self, life: Any, name: str, args: Sequence[Any], result: Any) -> None:
        """Look at what a call of a store's port has just committed."""
        self._read_log()
        match name:
            case "begin":
                for begun in result:
                    self._began(begun, life)
            case "finish":
                for answer in args[0]:
                    self._finished(answer)
            case "store":
                self.taken_in += len(args[0].events) + len(args[0].dead)
                self._consents(args[0].profiles)
            case "save":
                self._consents(args[0])
            case "overdue":
                self._round(life.name)
            case _:
                return

    def unanswered(self, name: str, result: Any) -> None:
        """The store did it, and whoever asked will not learn of it."""
        if name == "begin":
            for begun in result:
                self.ambiguous.setdefault(begun.delivery.attempts[-1].id, "commit_unknown")

    def _read_log(self) -> None:
        """Count what happened by the event log's rows, one for each event of a delivery."""
        for logged in self.state.log[-(self.state.logged - self._logged) :] if self.state.logged > self._logged else ():
            if logged.entry:
                self.published[logged.entry.id] = None
            if row := logged.transition:
                self._note(row)
        self._logged = self.state.logged

    def _note(self, row: Transition) -> None:
        if row.version == 1:  # a notification that was pruned, and whose event came once more, begins anew
            self._statuses.pop(row.key, None)
            self._changes.pop(row.key, None)
        was, self._statuses[row.key] = self._statuses.get(row.key), row.status
        event = self._event(row, was)
        if event is None:
            self.wrong(f"status: {row.key.event_key} went from {was} to {row.status}, which the table does not know")
            return
        self.transitions[was, event] += 1
        self.note("store", f"{row.key.event_key}-v{row.version}", f"{event.__name__} {row.status}")
        if event is e.Resent and was is Status.IN_DOUBT:
            self.resends += 1

    def _event(self, row: Transition, was: Status | None) -> type[e.Event] | None:
        """The event that a row is about: the log says where it led to, and the changes what else happened when."""
        fitting = {
            event.__name__.lower(): event
            for (old, event), new in TRANSITIONS.items()
            if (old, new) == (was, row.status)
        }
        place = (row.key.tenant, row.key.notification_id)
        mine = [one for one in self.state.changes.get(place, ()) if one.delivery_no == row.key.no and one.event != LATE]
        nth = self._changes[row.key]
        if was is not None and nth < len(mine) and mine[nth].event in fitting and mine[nth].at == row.at:
            self._changes[row.key] += 1
            return fitting[mine[nth].event]
        return fitting["noted"] if "noted" in fitting and was is row.status else next(iter(fitting.values()), None)

    def _began(self, begun: Begun, life: Any) -> None:
        attempt, delivery = begun.delivery.attempts[-1], begun.delivery
        self.open_calls[attempt.id] = life.name
        if life.doubtful:
            self.ambiguous.setdefault(attempt.id, "begun by a process in trouble")
        point = self.state.points.get((begun.notification.user, delivery.channel))
        self.begun[attempt.id] = attempt.started_at, point.address if point else None
        where = f"attempt {attempt.id}"
        if point is None or point.epoch != attempt.epoch:
            self.wrong(f"opt-out: {where} was allowed by epoch {attempt.epoch}, which was not the last")
        elif not self._allowed(begun, point):
            self.wrong(f"opt-out: {where} was begun although epoch {attempt.epoch} forbids it")
        if attempt.started_at >= delivery.expires_at:
            self.wrong(f"too late: {where} was begun after the delivery's time to live")
        due = self.state.due.get(delivery.key)
        if due is None or due.token != begun.lease.token:
            self.wrong(f"fencing: {where} was begun under a void lease")

    def _allowed(self, begun: Begun, point: ContactPoint) -> bool:
        """Consent as the specification has it, without the code that is under test."""
        profile = self.state.profiles.get(begun.notification.user)
        said = profile.get(f"enabled.{point.channel}") if profile else None
        on = said if said is not None else point.channel != WHATSAPP
        opted_in = point.channel != WHATSAPP or bool(profile and profile.get("opt_in.whatsapp"))
        everything = profile is None or profile.get("global_enabled") is not False
        return bool(on and opted_in and everything and point.address and point.suppression is None)

    def _round(self, life: str) -> None:
        """This process looks for what is overdue, so its round before came to an end: not many find the same open."""
        now, state = self.state.clock(), self.state
        past = {
            key: (delivery.status, now - delivery.expires_at)
            for key, place in state.due.items()
            if (delivery := state.deliveries[key]).status in OPEN and delivery.expires_at < now
            if (place.lease_until or now) <= now
        }
        again, self._found[life] = past.keys() & self._found.get(life, set()), set(past)
        self._rounds = Counter({key: self._rounds[key] + (key in again) for key in past})
        for key, (status, after) in past.items():
            if key in again and self._rounds[key] == _MOST_ROUNDS:
                self.wrong(f"outlived: {key.event_key} is {status}, {after} after its time to live")

    def _finished(self, answer: Answer) -> None:
        attempt = self.state.deliveries[answer.begun.lease.key].attempt(answer.record.no)
        self.open_calls.pop(attempt.id, None)
        if answer.record.outcome.kind is OutcomeKind.IN_DOUBT and attempt.id not in self.ambiguous:
            self.wrong(f"in doubt: attempt {attempt.id} ({answer.record.outcome.code}), whose call was not ambiguous")

    def _changed(self, key: DeliveryKey, before: Delivery | None, after: Delivery) -> None:
        self.remembered.deliveries[key] = after
        if before == after:
            return
        if after.status != status_of(after.rest, after.attempts) and after.attempts:
            self.wrong(f"status: {key.event_key} is {after.status}, its attempts say otherwise")
        for attempt in after.attempts:
            was = before.attempts[attempt.no - 1].evidence if before and len(before.attempts) >= attempt.no else None
            if attempt.evidence is Evidence.IN_DOUBT and was is not Evidence.IN_DOUBT:
                self.doubted.append(attempt.id)
                if attempt.id not in self.ambiguous:
                    self.wrong(f"in doubt: attempt {attempt.id} ({attempt.code}), whose call was not ambiguous")
        if before and after.resends > before.resends and after.reason is Reason.RESEND_IN_DOUBT and before.resends:
            self.wrong(f"twice: {key.event_key} was resent by itself a second time")

    def _consents(self, profiles: Sequence[Profile]) -> None:
        """Whatever consent is read from, a change of it is another epoch."""
        for profile in profiles:
            for channel in self.state.channels:
                point = self.state.points.get((profile.user, channel))
                if point is None:
                    continue
                everything = profile.get("global_enabled") is not False
                said = (everything, point.address, point.enabled, point.opt_in, point.suppression)
                epoch, before = self.consents.get((profile.user, channel), (0, said))
                if epoch == point.epoch and before != said:
                    self.wrong(f"opt-out: consent of {profile.user.user_id} changed within epoch {epoch}")
                self.consents[profile.user, channel] = point.epoch, said
