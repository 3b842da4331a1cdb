"""Every reason the engine gives for what it did not do, or did later. The answer to "why (not)?"."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Reason(StrEnum):
    """A code that stays the same for ever; `explain` turns it into a sentence."""

    # consent
    GLOBAL_OFF = "global_off"
    CHANNEL_OFF = "channel_off"
    TYPE_OFF = "type_off"
    SUPPRESSED = "suppressed"
    NO_OPT_IN = "no_opt_in"
    # reach
    NO_CONTACT = "no_contact"
    AWAITING_CONTACT = "awaiting_contact"
    NO_SENDER = "no_sender"
    NOT_ALLOWLISTED = "not_allowlisted"
    UNKNOWN_TYPE = "unknown_type"
    # time
    SCHEDULED = "scheduled"
    QUIET_HOURS = "quiet_hours"
    FREQUENCY_CAP = "frequency_cap"
    STALE = "stale"
    EXPIRED = "expired"
    # once
    DUPLICATE = "duplicate"
    # the call
    RETRY = "retry"
    LANE_WAITS = "lane_waits"
    HELD = "held"
    RELEASED = "released"
    REFUSED = "refused"
    OPTED_OUT = "opted_out"
    TRIES_SPENT = "tries_spent"
    UNDELIVERED = "undelivered"
    CONTENT = "content"
    IN_DOUBT = "in_doubt"
    RESEND_IN_DOUBT = "resend_in_doubt"
    UNCONFIRMED = "unconfirmed"
    # asking the provider
    NOTHING_NEW = "nothing_new"
    NOT_ANSWERED = "not_answered"
    # quarantine
    REPLAYED = "replayed"
    FLOODED = "flooded"
    UNREADABLE = "unreadable"
    # people
    CANCELLED = "cancelled"
    OPERATOR = "operator"


SENTENCES: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.GLOBAL_OFF: "the person has switched all notifications off",
        Reason.CHANNEL_OFF: "this channel is off for the person, by their own choice or by default",
        Reason.TYPE_OFF: "the person does not want this type on this channel",
        Reason.SUPPRESSED: "the address must not be written to again (bounce, complaint, unsubscribe or STOP)",
        Reason.NO_OPT_IN: "this channel needs an opt-in and there is none",
        Reason.NO_CONTACT: "we hold no address for this channel",
        Reason.AWAITING_CONTACT: "we know nothing of this person yet and wait a while for their contact data",
        Reason.NO_SENDER: "no provider is configured for this channel",
        Reason.NOT_ALLOWLISTED: "outside production only addresses on the allow-list are written to",
        Reason.UNKNOWN_TYPE: "its type is no longer in the catalogue",
        Reason.SCHEDULED: "it was asked for at a later time",
        Reason.QUIET_HOURS: "it is the person's quiet hours",
        Reason.FREQUENCY_CAP: "the person's limit for this channel is reached",
        Reason.STALE: "the event was older than the type's time to live when it came",
        Reason.EXPIRED: "its time to live passed before it could be sent",
        Reason.DUPLICATE: "the same thing was said within the type's window",
        Reason.RETRY: "the provider did not take it; it will be tried again",
        Reason.LANE_WAITS: "the provider cannot take anything now; nothing was spent",
        Reason.HELD: "an operator holds it back; nothing was spent",
        Reason.RELEASED: "the call was never made; it is free to be tried again",
        Reason.REFUSED: "the provider refused it for good",
        Reason.OPTED_OUT: "the provider says this person opted out",
        Reason.TRIES_SPENT: "every try was answered with a no",
        Reason.UNDELIVERED: "the provider took it and reported that it did not arrive",
        Reason.CONTENT: "the message could not be made from its template; nothing was sent",
        Reason.IN_DOUBT: "nobody can know whether the provider took it",
        Reason.RESEND_IN_DOUBT: "no report cleared the doubt up; the type allows one more send",
        Reason.UNCONFIRMED: "in doubt until it expired",
        Reason.NOTHING_NEW: "the provider was asked and told nothing new",
        Reason.NOT_ANSWERED: "the provider could not be asked",
        Reason.REPLAYED: "the event was already old when it was published, as in a replay",
        Reason.FLOODED: "the person would get more of this type within an hour than the type allows",
        Reason.UNREADABLE: "what is held about the person opens with none of the keys",
        Reason.CANCELLED: "it was cancelled",
        Reason.OPERATOR: "an operator decided",
    }
)
