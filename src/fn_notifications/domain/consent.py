"""May this person be written to on this channel at all? Priority never overrides the answer."""

from fn_notifications.domain.catalogue import AllowList, ChannelRules, NotificationType, Priority
from fn_notifications.domain.preferences import ContactPoint, Person
from fn_notifications.domain.reasons import Reason


def objection(
    type_: NotificationType,
    rules: ChannelRules,
    point: ContactPoint,
    person: Person,
    allowlist: AllowList | None,
    *,
    explicit: bool,
) -> Reason | None:
    """The first reason not to, or None. `explicit`: the caller named the channels; a choice per type yields to that."""
    if not person.global_enabled:
        return Reason.GLOBAL_OFF
    if not (rules.on_by_default if point.enabled is None else point.enabled):
        return Reason.CHANNEL_OFF
    if not explicit and not _wanted(type_, point, person):
        return Reason.TYPE_OFF
    if point.suppression:
        return Reason.SUPPRESSED
    if rules.needs_opt_in and not point.opt_in:
        return Reason.NO_OPT_IN
    if point.address is None:
        return Reason.NO_CONTACT
    if not rules.has_sender:
        return Reason.NO_SENDER
    if allowlist and not allowlist.allows(point.address):
        return Reason.NOT_ALLOWLISTED
    return None


def _wanted(type_: NotificationType, point: ContactPoint, person: Person) -> bool:
    """A person's choice of channels for a type. Urgent types use every channel, unless the choice is none at all."""
    chosen = person.type_channels.get(type_.name)
    if chosen is None:
        return True
    if type_.priority is Priority.URGENT:
        return bool(chosen)
    return point.channel in chosen
