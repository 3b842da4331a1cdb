"""What follows from the readings before anything is checked: what is embedded, and who carries each channel."""

from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from attrs import frozen

from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Channel
from fn_notifications.entrypoints.settings.adapters import LOCAL, SENDGRID, TWILIO
from fn_notifications.entrypoints.settings.locators import is_loopback
from fn_notifications.entrypoints.settings.readings import Readings
from fn_notifications.entrypoints.settings.variable import Section
from fn_notifications.entrypoints.settings.variables import VARIABLES, service
from fn_notifications.entrypoints.settings.variables import channels as of

_OUTSIDE_PARTS: Final = frozenset({Section.DATABASE, Section.KAFKA, Section.SENDERS})


class Embed(Enum):
    """What a command wants of embedded parts."""

    WHEN_EMPTY = auto()
    """All of them when nothing is configured, else none (`serve`)."""
    MISSING = auto()
    """Those that are not configured (`serve --embedded`)."""
    EVERYTHING = auto()
    """All of them, whatever is configured (`dev`, `demo`)."""


@frozen(kw_only=True)
class Plan:
    """The decisions everything else depends on."""

    environment: service.Environment | None
    """None when it cannot be read: nothing is then required for its sake."""
    embedded: bool
    adapters: Mapping[Channel, tuple[str, ...]]

    @property
    def production(self) -> bool:
        """Whether this is the real thing."""
        return self.environment is service.Environment.PROD


def plan(readings: Readings, embed: Embed) -> Plan:
    """Decide. Production embeds nothing, except that `dev` and `demo` are never production."""
    environment = readings[service.ENVIRONMENT] if readings.readable(service.ENVIRONMENT) else None
    if embed is Embed.EVERYTHING and environment is service.Environment.PROD:
        environment = service.Environment.DEV
    embedded = environment is not service.Environment.PROD and (
        embed is not Embed.WHEN_EMPTY or not _anything_outside(readings)
    )
    spare = (LOCAL,) if embedded else ()
    return Plan(
        environment=environment,
        embedded=embedded,
        adapters=MappingProxyType(
            {
                channel: readings.get(variables.adapter, _inferred(channel, readings) or spare)
                for channel, variables in of.CHANNELS.items()
            }
        ),
    )


def _anything_outside(readings: Readings) -> bool:
    parts = (variable for variable in VARIABLES if variable.outside and variable.section in _OUTSIDE_PARTS)
    named = (readings.get(variables.adapter, ()) for variables in of.CHANNELS.values())
    return any(map(readings.given, parts)) or any(set(adapters) - {LOCAL} for adapters in named)


def _inferred(channel: Channel, readings: Readings) -> tuple[str, ...]:
    """The provider whose account is complete enough to carry the channel."""
    given = readings.given
    twilio = given(of.TWILIO_ACCOUNT_SID) and given(of.TWILIO_AUTH_TOKEN)
    complete = {
        EMAIL: given(of.SENDGRID_API_KEY),
        SMS: twilio and (given(of.TWILIO_PHONE_NUMBER) or given(of.TWILIO_MESSAGING_SERVICE_SID)),
        WHATSAPP: twilio and given(of.TWILIO_WHATSAPP_NUMBER),
    }
    if not complete[channel]:
        return ()
    return (SENDGRID,) if channel == EMAIL else (TWILIO,)


def real_adapters(readings: Readings, adapters: Mapping[Channel, tuple[str, ...]]) -> frozenset[str]:
    """Those that reach people: all but the local mailbox and a provider's simulator on this machine."""
    harmless = {LOCAL}
    harmless |= {SENDGRID} if is_loopback(readings[of.SENDGRID_BASE_URL]) else set()
    harmless |= {TWILIO} if is_loopback(readings[of.TWILIO_BASE_URL]) else set()
    return frozenset(name for names in adapters.values() for name in names) - harmless
