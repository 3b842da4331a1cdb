"""What works, but otherwise than its author may think; and what was read and needs nothing done."""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from typing import Final

from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP
from fn_notifications.entrypoints.settings.adapters import LOCAL, SENDGRID, TWILIO
from fn_notifications.entrypoints.settings.locators import is_loopback
from fn_notifications.entrypoints.settings.plan import Plan
from fn_notifications.entrypoints.settings.readings import Readings
from fn_notifications.entrypoints.settings.sources import Source
from fn_notifications.entrypoints.settings.variable import Section
from fn_notifications.entrypoints.settings.variables import VARIABLES, security, service, stores
from fn_notifications.entrypoints.settings.variables import channels as of

_INFERRED_FROM: Final = {
    EMAIL: "SENDGRID_API_KEY",
    SMS: "TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_PHONE_NUMBER",
    WHATSAPP: "TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_WHATSAPP_NUMBER",
}
_UNREAD: Final = frozenset({Section.LATER, Section.OBSOLETE})
# What Kubernetes and Docker put into every container for a service called kafka or redis is nobody's misspelling.
_INJECTED: Final = re.compile(r"(?:OTEL|AWS)_.*|.*_SERVICE_(?:HOST|PORT.*)|.*_PORT(?:_[0-9]+_.*)?")
_NEAR: Final = 0.8


def warnings(readings: Readings, plan: Plan, sources: Sequence[Source]) -> Iterator[str]:
    """One sentence each, naming variables and no values."""
    yield from _unfilled(readings)
    yield from _channels(readings, plan)
    yield from _secrets(readings, plan)
    yield from _exposed(readings, plan)
    yield from misspelt(sources)


def _unfilled(readings: Readings) -> Iterator[str]:
    for variable in VARIABLES:
        if readings.placeholder(variable) and variable.section not in _UNREAD:
            yield f"{readings.where(variable)} still holds the guide's placeholder and is taken as not set"
    url = readings[stores.DATABASE_URL]
    if url and "://username:password@host" in url.reveal():
        yield f"{readings.where(stores.DATABASE_URL)} still holds the guide's example"
    if any(host.startswith("pkc-xyz.") for host in readings.get(stores.KAFKA_HOSTS, ())):
        yield f"{readings.where(stores.KAFKA_HOSTS)} still holds the guide's example"


def _channels(readings: Readings, plan: Plan) -> Iterator[str]:
    for channel, adapters in plan.adapters.items():
        if not adapters:
            yield f"{channel} is off: set {of.CHANNELS[channel].adapter.name}, or {_INFERRED_FROM[channel]}"
    if set(plan.adapters[EMAIL]) - {LOCAL} and not readings.given(of.FROM_EMAIL):
        yield "FROM_EMAIL is not set: mail comes from notifications@ the public host"
    if SENDGRID in plan.adapters[EMAIL] and not readings.given(of.SENDGRID_WEBHOOK_PUBLIC_KEY):
        yield "SENDGRID_WEBHOOK_PUBLIC_KEY is not set: SendGrid's webhook door stays shut"
    if plan.production and readings.given(of.RECIPIENT_ALLOWLIST):
        yield f"{readings.where(of.RECIPIENT_ALLOWLIST)} is set in production: nobody else is written to"
    used = {name for names in plan.adapters.values() for name in names}
    for provider, base in ((SENDGRID, of.SENDGRID_BASE_URL), (TWILIO, of.TWILIO_BASE_URL)):
        if plan.production and provider in used and is_loopback(readings[base]):
            yield f"{readings.where(base)} leads to this machine: nobody is reached by {provider}"


def _secrets(readings: Readings, plan: Plan) -> Iterator[str]:
    keys = (security.CONTACT_KEYS, security.LOOKUP_KEY)
    derived = [variable.name for variable in keys if not readings.given(variable)]
    if plan.production and derived:
        yield (
            f"{' and '.join(derived)} not set: derived from SECRET_KEY_BASE. Changing SECRET_KEY_BASE then makes "
            "stored addresses unreadable and suppressions unfindable; set keys of their own before going live"
        )
    if readings.given(security.JWT_JWKS_URL):
        if readings.given(security.JWT_SECRET):
            yield f"{readings.where(security.JWT_SECRET)} is not used: JWT_JWKS_URL says whose tokens are believed"
        unchecked = [v.name for v in (security.JWT_ISSUER, security.JWT_AUDIENCE) if not readings.given(v)]
        if unchecked:
            yield f"{' and '.join(unchecked)} not set: tokens made for others are believed as well"


def _exposed(readings: Readings, plan: Plan) -> Iterator[str]:
    if readings.given(stores.KAFKA_USERNAME) and readings[stores.KAFKA_SSL] is False:
        yield f"{readings.where(stores.KAFKA_SSL)} is false: Kafka's password crosses the network in the clear"
    if plan.production:
        for variable in (service.CSRF_PROTECTION, service.SECURE_COOKIES):
            if readings[variable] is False:
                yield f"{readings.where(variable)} is false in production"


def misspelt(sources: Sequence[Source]) -> Iterator[str]:
    """Names nothing reads that are near one of ours, or stand where only ours belong."""
    known = [name for variable in VARIABLES for name in variable.names]
    for source in sources:
        for name in sorted(set(source.values).difference(known)):
            near = get_close_matches(name, known, 1, _NEAR) if "_" in name and not _INJECTED.fullmatch(name) else []
            if near:
                yield f"{name} ({source.name}) is not a setting; did you mean {near[0]}?"
            elif source.ours:
                yield f"{name} ({source.name}) is not a setting"


def notices(readings: Readings, plan: Plan, sources: Sequence[Source], hidden: AbstractSet[str]) -> Iterator[str]:
    """One sentence for each kind of thing that was written in vain. `hidden` names were not read at all."""
    for section, what in ((Section.LATER, "not read by this version"), (Section.OBSOLETE, "no longer needed")):
        names = [name for variable in VARIABLES if variable.section is section and (name := readings.written(variable))]
        if names:
            yield f"{', '.join(names)}: {what}"
    passed_over = sorted(hidden & {name for source in sources for name in source.values})
    if readings[service.ENVIRONMENT] is not plan.environment:
        passed_over.append(readings.where(service.ENVIRONMENT))
    if passed_over:
        yield f"{', '.join(passed_over)}: passed over, this command runs on embedded parts only"
