"""A notification engine: who should hear of it, on which channel, when and whether at all, and why.

The names here are the domain and the application: values, rules, use cases. Importing them loads nothing else;
adapters are imported from where they live, and only those you use need their dependencies installed.
"""

from fn_notifications.application.explain import Explanation
from fn_notifications.application.service import Answer, Duplicate, MissingVariables, Notifications, UnknownType
from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Channel, EmailAddress, PhoneNumber
from fn_notifications.domain.catalogue import CHANNELS, ChannelRules, InDoubt, NotificationType, Policy, Priority
from fn_notifications.domain.decision import Decision, Verdict
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.lifecycle import TRANSITIONS, Status
from fn_notifications.domain.notification import Notification, Request
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope
from fn_notifications.domain.preferences import ContactPoint, Person, UserRef
from fn_notifications.domain.quiet_hours import QuietHours
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routing import gate, plan

__version__ = "0.1.0"

__all__ = [
    "CHANNELS",
    "EMAIL",
    "SMS",
    "TRANSITIONS",
    "WHATSAPP",
    "Answer",
    "Channel",
    "ChannelRules",
    "ContactPoint",
    "Decision",
    "Delivery",
    "Duplicate",
    "EmailAddress",
    "Explanation",
    "InDoubt",
    "MissingVariables",
    "Notification",
    "NotificationType",
    "Notifications",
    "Outcome",
    "OutcomeKind",
    "Person",
    "PhoneNumber",
    "Policy",
    "Priority",
    "QuietHours",
    "Reason",
    "Request",
    "Scope",
    "Status",
    "UnknownType",
    "UserRef",
    "Verdict",
    "gate",
    "plan",
]
