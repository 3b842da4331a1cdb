"""Everything that can go wrong, by name, and how often it does in a seed that has it."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Fault(StrEnum):
    """One kind of mishap, or of change of mind."""

    # processes
    KILL = "kill"
    TERMINATE = "terminate"
    FREEZE = "freeze"
    OWN_CLOCK = "own_clock"
    # store
    STORE_OUT = "store_out"
    STORE_CUT = "store_cut"
    """One process cannot reach it, the others can."""
    STORE_ERROR = "store_error"
    COMMIT_UNKNOWN = "commit_unknown"
    """Committed, and whoever asked for it is told otherwise."""
    STORE_CLOCK_BACK = "store_clock_back"
    # broker
    BROKER_OUT = "broker_out"
    PUBLISHED_IN_PART = "published_in_part"
    PUBLISH_UNKNOWN = "publish_unknown"
    REBALANCE = "rebalance"
    OFFSET_NOT_STORED = "offset_not_stored"
    # events
    EVENT_TWICE = "event_twice"
    EVENT_LATE = "event_late"
    EVENT_REPEATED = "event_repeated"
    """Another event that says the same."""
    EVENT_POISON = "event_poison"
    EVENT_ID_REUSED = "event_id_reused"
    # a provider's answers
    REFUSED = "refused"
    UNSENT = "unsent"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    ERROR = "error"
    ANSWER_LOST = "answer_lost"
    HANG = "hang"
    CONTRADICTION = "contradiction"
    """It reports on what it said it did not take."""
    # a provider's route, for a while
    ROUTE_DOWN = "route_down"
    ROUTE_THROTTLED = "route_throttled"
    ROUTE_HANGS = "route_hangs"
    ROUTE_SLOW = "route_slow"
    ACCOUNT_STOPPED = "account_stopped"
    DESTINATION_STOPPED = "destination_stopped"
    # reports
    LOOKUP_UNANSWERED = "lookup_unanswered"
    REPORT_EARLY = "report_early"
    """Before the answer."""
    REPORT_LATE = "report_late"
    REPORT_LOST = "report_lost"
    REPORT_TWICE = "report_twice"
    REPORTS_SHUFFLED = "reports_shuffled"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    WEBHOOKS_OUT = "webhooks_out"
    # people
    STOP = "stop"
    START = "start"
    OPT_OUT = "opt_out"
    LAST_MOMENT = "last_moment"
    """Somebody says no right when they are about to be written to."""
    OPT_IN = "opt_in"
    ADDRESS_CHANGED = "address_changed"
    QUIET_HOURS = "quiet_hours"
    CAP = "cap"
    CANCEL = "cancel"
    # operators
    HOLD = "hold"
    PIN = "pin"
    RESOLVE = "resolve"
    CANCEL_TYPE = "cancel_type"
    QUARANTINE = "quarantine"
    """Held events are released, thinned or discarded."""
    REPLAY = "replay"
    """A dead letter is tried again."""


Rates = Mapping[Fault, float]

PER_CALL: Final[Rates] = MappingProxyType(
    {
        Fault.KILL: 0.02,
        Fault.TERMINATE: 0.01,
        Fault.FREEZE: 0.015,
        Fault.LAST_MOMENT: 0.1,
        Fault.STORE_ERROR: 0.02,
        Fault.COMMIT_UNKNOWN: 0.015,
        Fault.PUBLISH_UNKNOWN: 0.05,
        Fault.PUBLISHED_IN_PART: 0.05,
        Fault.OFFSET_NOT_STORED: 0.2,
        Fault.EVENT_TWICE: 0.15,
        Fault.EVENT_LATE: 0.1,
        Fault.EVENT_REPEATED: 0.2,
        Fault.EVENT_POISON: 0.08,
        Fault.EVENT_ID_REUSED: 0.06,
        Fault.REFUSED: 0.1,
        Fault.UNSENT: 0.2,
        Fault.THROTTLED: 0.1,
        Fault.UNAVAILABLE: 0.1,
        Fault.ERROR: 0.12,
        Fault.ANSWER_LOST: 0.1,
        Fault.HANG: 0.06,
        Fault.CONTRADICTION: 0.4,
        Fault.LOOKUP_UNANSWERED: 0.3,
        Fault.REPORT_EARLY: 0.3,
        Fault.REPORT_LATE: 0.3,
        Fault.REPORT_LOST: 0.3,
        Fault.REPORT_TWICE: 0.2,
        Fault.REPORTS_SHUFFLED: 0.4,
        Fault.BOUNCE: 0.25,
        Fault.COMPLAINT: 0.08,
    }
)
"""Chance at each call it can strike: of a port at every await, of a provider, for an event, for a report."""

PER_SEED: Final[Rates] = MappingProxyType(
    {
        Fault.OWN_CLOCK: 1.5,
        Fault.STORE_OUT: 1.0,
        Fault.STORE_CUT: 1.0,
        Fault.STORE_CLOCK_BACK: 1.5,
        Fault.BROKER_OUT: 1.0,
        Fault.REBALANCE: 2.0,
        Fault.ROUTE_DOWN: 1.0,
        Fault.ROUTE_THROTTLED: 1.0,
        Fault.ROUTE_HANGS: 1.0,
        Fault.ROUTE_SLOW: 1.0,
        Fault.ACCOUNT_STOPPED: 0.7,
        Fault.DESTINATION_STOPPED: 0.7,
        Fault.WEBHOOKS_OUT: 1.0,
        Fault.STOP: 2.0,
        Fault.START: 1.5,
        Fault.OPT_OUT: 2.0,
        Fault.OPT_IN: 1.5,
        Fault.ADDRESS_CHANGED: 1.0,
        Fault.QUIET_HOURS: 1.0,
        Fault.CAP: 1.0,
        Fault.CANCEL: 2.0,
        Fault.HOLD: 1.5,
        Fault.PIN: 1.0,
        Fault.RESOLVE: 5.0,
        Fault.CANCEL_TYPE: 1.0,
        Fault.QUARANTINE: 2.0,
        Fault.REPLAY: 1.0,
    }
)
"""How often on average."""
