"""Who hears of it, on which channel, when and whether at all.

`gate` is the rules for one channel at one moment; `plan` is the same rules when a request comes in. Every gate that
depends on time or on the person runs again when the call starts, so there is one function for both.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo

from fn_notifications.domain.address import Channel, PhoneNumber
from fn_notifications.domain.caps import capped_until
from fn_notifications.domain.catalogue import NotificationType, OverCap, Policy, Priority
from fn_notifications.domain.commands import Plan
from fn_notifications.domain.consent import objection
from fn_notifications.domain.decision import Decision, Verdict
from fn_notifications.domain.delivery import Delivery, DeliveryKey, decide
from fn_notifications.domain.identity import notification_id
from fn_notifications.domain.notification import Notification, Request
from fn_notifications.domain.preferences import ContactPoint, Person
from fn_notifications.domain.quiet_hours import QuietHours, quiet_everywhere_until
from fn_notifications.domain.reasons import Reason


def plan(
    request: Request,
    type_: NotificationType,
    person: Person,
    policy: Policy,
    now: datetime,
    *,
    chance: float,
    catalogue: str,
) -> Notification:
    """The notification a request becomes, with one delivery and one decision per channel considered.

    `chance` in [0, 1) spreads deferrals. Deterministic: the same arguments make the same notification, id included.
    """
    expires_at = request.event_at + type_.ttl
    decisions = tuple(
        _first_decision(request, type_, channel, person, policy, now, expires_at, chance)
        for channel in _candidates(request, type_, person, policy)
    )
    id_ = notification_id(request.event_at, request.user.tenant, request.user.user_id, request.type, request.identity)
    deliveries = tuple(
        _planned(DeliveryKey(tenant=request.user.tenant, notification_id=id_, no=no), decision, expires_at, now)
        for no, decision in enumerate(decisions, start=1)
    )
    return Notification(
        id=id_,
        user=request.user,
        type=request.type,
        priority=type_.priority,
        event_at=request.event_at,
        created_at=now,
        expires_at=expires_at,
        catalogue=catalogue,
        explicit=request.channels is not None,
        identity=request.identity,
        key=request.key,
        variables=request.variables,
        language=person.language,
        timezone=person.timezone,
        correlation_id=request.correlation_id,
        metadata=request.metadata,
        decisions=decisions,
        deliveries=deliveries,
    )


def gate(
    type_: NotificationType,
    channel: Channel,
    person: Person,
    policy: Policy,
    now: datetime,
    *,
    expires_at: datetime,
    chance: float,
    explicit: bool = False,
) -> Decision:
    """Whether this person may be written to on this channel at this moment.

    A deferral that would outlive the delivery is no deferral: the answer is `skip: expired` then. `explicit`: the
    caller named the channels.
    """
    if now >= expires_at:
        return Decision.skip(channel, Reason.EXPIRED)
    rules = policy.channels[channel]
    point = person.contacts.get(channel) or ContactPoint(channel=channel)
    if reason := objection(type_, rules, point, person, policy.allowlist, explicit=explicit):
        return Decision.skip(channel, reason)
    if type_.priority is Priority.URGENT:
        return Decision.send(channel)
    decision = _quiet(point, person, policy, now, expires_at, chance) or _capped(type_, point, now)
    if decision is None:
        return Decision.send(channel)
    if decision.until is not None and decision.until >= expires_at:
        return Decision.skip(channel, Reason.EXPIRED)
    return decision


def _candidates(request: Request, type_: NotificationType, person: Person, policy: Policy) -> Sequence[Channel]:
    """The request's channels, else the person's choice for the type, else the type's. Urgent asks all there are."""
    chosen = request.channels
    if chosen is None and type_.priority is Priority.URGENT:
        chosen = (*type_.channels, *policy.channels)
    if chosen is None:
        chosen = (*person.type_channels.get(request.type, type_.channels), *type_.channels)
    return [channel for channel in dict.fromkeys(chosen) if channel in policy.channels]


def _first_decision(
    request: Request,
    type_: NotificationType,
    channel: Channel,
    person: Person,
    policy: Policy,
    now: datetime,
    expires_at: datetime,
    chance: float,
) -> Decision:
    if now >= expires_at:
        return Decision.skip(channel, Reason.STALE)
    at = max(now, request.scheduled_at or now)
    explicit = request.channels is not None
    decision = gate(type_, channel, person, policy, at, expires_at=expires_at, chance=chance, explicit=explicit)
    if decision.reason is Reason.NO_CONTACT and not person.known and policy.contact_grace:
        # Whoever waits for contact data is woken when it comes, which must not be before the time that was asked for.
        reason = Reason.SCHEDULED if at > now else Reason.AWAITING_CONTACT
        return Decision.defer(channel, reason, min(max(at, now + policy.contact_grace), expires_at))
    if decision.verdict is Verdict.SEND and at > now:
        return Decision.defer(channel, Reason.SCHEDULED, at)
    return decision


def _planned(key: DeliveryKey, decision: Decision, expires_at: datetime, now: datetime) -> Delivery:
    new = Delivery(key=key, channel=decision.channel, expires_at=expires_at)
    return new.with_events(decide(new, Plan(decision=decision), now))


def _quiet(
    point: ContactPoint, person: Person, policy: Policy, now: datetime, expires_at: datetime, chance: float
) -> Decision | None:
    respects = point.respects_quiet_hours
    if respects is None:
        respects = policy.channels[point.channel].respects_quiet_hours
    hours = person.quiet_hours
    if hours is None or not respects:
        return None
    zones = _zones(hours, person, point, policy)
    end = quiet_everywhere_until(hours, zones, now)
    if end is None:
        return None
    spread = end + policy.quiet_spread * chance
    # Spreading is a courtesy to the lane: it must not cost the message its time to live, nor run into the next quiet.
    until = end if spread >= expires_at or quiet_everywhere_until(hours, zones, spread) else spread
    return Decision.defer(point.channel, Reason.QUIET_HOURS, until)


def _zones(hours: QuietHours, person: Person, point: ContactPoint, policy: Policy) -> Sequence[tzinfo]:
    """The window's own zone, else the person's, else all of their number's country, else UTC."""
    for name in (hours.zone, person.timezone):
        if name and (zone := policy.zones(name)):
            return (zone,)
    found = policy.zones_of(point.address) if isinstance(point.address, PhoneNumber) else ()
    return found or (UTC,)


def _capped(type_: NotificationType, point: ContactPoint, now: datetime) -> Decision | None:
    if point.cap is None or (until := capped_until(point.cap, point.recent, now)) is None:
        return None
    if type_.over_cap is OverCap.SKIP:
        return Decision.skip(point.channel, Reason.FREQUENCY_CAP)
    return Decision.defer(point.channel, Reason.FREQUENCY_CAP, until)


def doubt_grace(channel: Channel, policy: Policy, *, now: datetime, expires_at: datetime) -> timedelta:
    """How long a report may clear up a doubt: by channel, never more than a quarter of the time left."""
    return max(min(policy.channels[channel].grace, (expires_at - now) / 4), timedelta())
