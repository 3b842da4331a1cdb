"""Combinations that cannot work, each rule on its own. What a single variable may say is its kind's business."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from attrs import frozen

from fn_notifications.adapters.kafka.properties import GUARDED
from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Channel
from fn_notifications.entrypoints.settings.adapters import ANNOUNCED, LOCAL, SENDGRID, TWILIO
from fn_notifications.entrypoints.settings.locators import sender_at
from fn_notifications.entrypoints.settings.plan import Plan, real_adapters
from fn_notifications.entrypoints.settings.problems import Problem
from fn_notifications.entrypoints.settings.readings import Readings
from fn_notifications.entrypoints.settings.scope import EVERYTHING, Scope
from fn_notifications.entrypoints.settings.secret import Secret
from fn_notifications.entrypoints.settings.variable import Section, Variable
from fn_notifications.entrypoints.settings.variables import VARIABLES, security, service, stores
from fn_notifications.entrypoints.settings.variables import channels as of
from fn_notifications.entrypoints.settings.variables.service import Environment, Role

_ENOUGH: Final = 32
_HOW: Final = "openssl rand -base64 48 makes one"
_PUBLISHED: Final = frozenset({"dev-secret-key-base-minimum-64-characters-required-for-security"})
DEVELOPMENT_SECRET: Final = Secret("fn-notifications: known to everybody, for development only")
"""What stands in for SECRET_KEY_BASE where nothing is at stake."""


@frozen
class Check:
    """The rules over one set of readings."""

    readings: Readings
    plan: Plan
    available: Mapping[Channel, Collection[str]]
    scope: Scope = EVERYTHING

    def problems(self) -> Iterator[Problem]:
        """Everything that cannot work, as far as the scope reads it. Lanes are read by what calls providers."""
        yield from self._placeholders()
        for section, rule in (
            (Section.DATABASE, self._database),
            (Section.KAFKA, self._kafka),
            (Section.CACHE, self._cache),
            (Section.CHANNELS, self._adapters),
            (Section.LANES, self._accounts),
            (Section.LANES, self._leases),
            (Section.LANES, self._public),
            (Section.SENDERS, self._recipients),
            (Section.SECURITY, self._secrets),
            (Section.IDENTITY, self._identity),
        ):
            if section in self.scope:
                yield from rule()

    def _need(self, variable: Variable[Any], why: str) -> Iterator[Problem]:
        """Nothing when the variable is given; else the problem, unless `_placeholders` has named it already."""
        if self.readings.given(variable) or self._named_already(variable):
            return
        lack = "still holds the guide's placeholder" if self.readings.placeholder(variable) else "missing"
        yield Problem(self.readings.where(variable), f"{lack}, and {why}; expected {variable.kind.expected}")

    def _named_already(self, variable: Variable[Any]) -> bool:
        strict = self.plan.production or variable is service.ENVIRONMENT
        return strict and self.readings.placeholder(variable) and not variable.spare

    def _placeholders(self) -> Iterator[Problem]:
        for variable in filter(self._named_already, VARIABLES):
            if variable.section in self.scope:
                yield Problem(
                    self.readings.where(variable),
                    f"still holds the guide's placeholder; expected {variable.kind.expected}",
                )

    def _part(self, variable: Variable[Any]) -> Iterator[Problem]:
        """A part that is neither configured nor embedded."""
        if not self.plan.embedded:
            why = (
                "production embeds nothing"
                if self.plan.production
                else "beside what is configured nothing is embedded, unless --embedded asks for it"
            )
            yield from self._need(variable, why)

    def _database(self) -> Iterator[Problem]:
        yield from self._part(stores.DATABASE_URL)

    def _kafka(self) -> Iterator[Problem]:
        readings = self.readings
        if {Role.INTAKE, Role.RELAY} & set(readings[service.ROLE]):
            yield from self._part(stores.KAFKA_HOSTS)
        if fixed := sorted(GUARDED & readings.get(stores.KAFKA_PROPERTIES, {}).keys()):
            yield Problem(
                readings.where(stores.KAFKA_PROPERTIES),
                f"expected none that the service sets itself: {', '.join(fixed)}",
            )
        if readings.given(stores.KAFKA_USERNAME) != readings.given(stores.KAFKA_PASSWORD):
            for half in (stores.KAFKA_USERNAME, stores.KAFKA_PASSWORD):
                yield from self._need(half, "SASL needs a user and a password, or neither")

    def _cache(self) -> Iterator[Problem]:
        if self.readings[stores.CACHE_ADAPTER] == "redis":
            yield from self._need(stores.REDIS_URL, "CACHE_ADAPTER is redis")

    def _adapters(self) -> Iterator[Problem]:
        for channel, names in self.plan.adapters.items():
            where = self.readings.where(of.CHANNELS[channel].adapter)
            known = sorted(set(self.available[channel]) - ({LOCAL} if self.plan.production else set()))
            expected = f"expected {' or '.join(known)}, or several in order of failover"
            for name in names:
                if name == LOCAL and self.plan.production:
                    yield Problem(where, f"the local mailbox reaches nobody, and production embeds nothing; {expected}")
                elif name in self.available[channel]:
                    continue
                elif name in ANNOUNCED and channel == EMAIL:
                    yield Problem(where, f"{name} is not available in this version; {expected}")
                else:
                    near = get_close_matches(name, known, 1)
                    yield Problem(where, f"{expected}{f'; did you mean {near[0]}?' if near else ''}")

    def _accounts(self) -> Iterator[Problem]:
        given, adapters = self.readings.given, self.plan.adapters
        if SENDGRID in adapters[EMAIL]:
            yield from self._need(of.SENDGRID_API_KEY, "email is to go by sendgrid")
        host = self.readings[service.PUBLIC_HOST]
        if self.plan.production and adapters[EMAIL] and host and not sender_at(host):
            yield from self._need(of.FROM_EMAIL, "the public host is no domain mail could come from")
        credentials = (of.TWILIO_ACCOUNT_SID, of.TWILIO_AUTH_TOKEN)
        if TWILIO in {*adapters[SMS], *adapters[WHATSAPP]} or len({given(half) for half in credentials}) > 1:
            for half in credentials:
                yield from self._need(half, "Twilio needs its SID and its token")
        numbers = {SMS: of.TWILIO_PHONE_NUMBER, WHATSAPP: of.TWILIO_WHATSAPP_NUMBER}
        for channel, number in numbers.items():
            if TWILIO in adapters[channel] and not given(of.TWILIO_MESSAGING_SERVICE_SID):
                yield from self._need(number, f"{channel} is to go by twilio without TWILIO_MESSAGING_SERVICE_SID")

    def _leases(self) -> Iterator[Problem]:
        lease = self.readings[stores.DELIVERY_LEASE]
        for channel, variables in of.CHANNELS.items():
            if self.plan.adapters[channel] and self.readings[variables.deadline] >= lease:
                yield Problem(
                    self.readings.where(variables.deadline),
                    f"expected less than DELIVERY_LEASE ({lease:g} s): a slow call would be taken for a dead process",
                )

    def _public(self) -> Iterator[Problem]:
        if self.plan.production:
            yield from self._need(service.PUBLIC_HOST, "links in production must lead somewhere")

    def _recipients(self) -> Iterator[Problem]:
        if self.plan.environment and not self.plan.production:
            real = real_adapters(self.readings, self.plan.adapters) & {*ANNOUNCED}.union(*self.available.values())
            if real:
                why = f"outside production {' and '.join(sorted(real))} may write only to those it lists"
                yield from self._need(of.RECIPIENT_ALLOWLIST, why)

    def _secrets(self) -> Iterator[Problem]:
        if not self.plan.production:
            return
        base = security.SECRET_KEY_BASE
        yield from self._need(base, f"production signs with a secret of its own ({_HOW})")
        yield from self._long_enough(base)
        if not self.readings.given(base) and not self._named_already(base):
            for variable in (security.CONTACT_KEYS, security.LOOKUP_KEY):
                yield from self._need(variable, "there is no SECRET_KEY_BASE to derive it from")

    def _long_enough(self, variable: Variable[Secret[str] | None]) -> Iterator[Problem]:
        secret = self.readings[variable]
        if secret is None:
            return
        where = self.readings.where(variable)
        if secret.reveal() in _PUBLISHED or secret == DEVELOPMENT_SECRET:
            yield Problem(where, f"holds a published value; expected a secret of your own ({_HOW})")
        elif len(secret.reveal().encode()) < _ENOUGH:
            yield Problem(where, f"expected {_ENOUGH} bytes or more in production ({_HOW})")

    def _identity(self) -> Iterator[Problem]:
        readings = self.readings
        if self.plan.production:
            yield from self._long_enough(security.JWT_SECRET)
        published = readings.given(security.JWT_JWKS_URL)
        shared = {name.startswith("HS") for name in readings.get(security.JWT_ALGORITHMS, ())}
        if published and True in shared:
            yield Problem(
                readings.where(security.JWT_ALGORITHMS), "expected RS or ES algorithms: keys at JWT_JWKS_URL are public"
            )
        if not published and False in shared:
            yield Problem(readings.where(security.JWT_ALGORITHMS), "expected HS256: other algorithms need JWT_JWKS_URL")
        if published and self.plan.environment is Environment.PROD:
            for variable in (security.JWT_ISSUER, security.JWT_AUDIENCE):
                yield from self._need(variable, "JWT_JWKS_URL's keys may sign tokens for others")
