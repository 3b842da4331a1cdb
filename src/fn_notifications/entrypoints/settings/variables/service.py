"""The process itself: where it runs, what it does, where it listens, what it tells."""

from enum import StrEnum
from typing import Final

from fn_notifications.entrypoints.settings.kinds import (
    anything,
    boolean,
    duration,
    level,
    listing,
    matching,
    one_of,
    path,
    whole,
)
from fn_notifications.entrypoints.settings.locators import bind_address, origin, public_host
from fn_notifications.entrypoints.settings.variable import Section, optional, setting


class Environment(StrEnum):
    """What is at stake."""

    DEV = "dev"
    TEST = "test"
    PROD = "prod"


class Role(StrEnum):
    """A loop a process may run."""

    INTAKE = "intake"
    DISPATCH = "dispatch"
    RECEIPTS = "receipts"
    RELAY = "relay"
    UPKEEP = "upkeep"
    HTTP = "http"


ENVIRONMENT: Final = setting(
    "ENVIRONMENT",
    one_of({member.value: member for member in Environment}),
    "dev",
    Section.SERVICE,
    "What is at stake: prod refuses embedded parts and default secrets, the others write only to RECIPIENT_ALLOWLIST.",
    aliases=("MIX_ENV",),
)
PORT: Final = setting("PORT", whole(0, 65535), "4000", Section.SERVICE, "Where HTTP listens; 0 takes any free port.")
BIND_ADDRESS: Final = optional(
    "BIND_ADDRESS",
    bind_address,
    "0.0.0.0 in production, else 127.0.0.1",
    Section.SERVICE,
    "The interface HTTP listens on.",
)
PUBLIC_HOST: Final = optional(
    "PUBLIC_HOST",
    public_host,
    "localhost; required in production",
    Section.SERVICE,
    "The host name others reach the service by: links and webhook signatures are made with it.",
    aliases=("PHX_HOST",),
)
ROLE: Final = setting(
    "ROLE",
    listing(one_of({role.value: role for role in Role})),
    "intake,dispatch,receipts,relay,upkeep,http",
    Section.SERVICE,
    "The loops this process runs.",
)
PROCESSES: Final = setting("PROCESSES", whole(1, 256), "1", Section.SERVICE, "How many processes share the work.")
SHUTDOWN_GRACE: Final = setting(
    "SHUTDOWN_GRACE",
    duration(3600),
    "25",
    Section.SERVICE,
    "How long calls on the wire may take to end when the process is told to stop; five seconds later it is gone, "
    "whatever hangs.",
)
TENANT: Final = setting(
    "TENANT",
    matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "at most 63 letters, digits, dots, dashes or underscores"),
    "default",
    Section.SERVICE,
    "The organisation all of this belongs to.",
)
STATE_DIR: Final = setting(
    "STATE_DIR", path, ".fn-notifications", Section.SERVICE, "The folder of the embedded parts' files."
)
CONFIG_FILE: Final = optional(
    "CONFIG_FILE",
    path,
    "fn-notifications.toml, where it exists",
    Section.SERVICE,
    "A TOML file with these names, in any case, tables joined by `_`.",
)

CORS_ORIGINS: Final = optional(
    "CORS_ORIGINS", listing(origin), "none", Section.SECURITY, "Web origins that may call the API from a browser."
)
CSRF_PROTECTION: Final = setting(
    "CSRF_PROTECTION", boolean, "true", Section.SECURITY, "Whether the console's forms must carry their token."
)
SECURE_COOKIES: Final = optional(
    "SECURE_COOKIES",
    boolean,
    "true in production, else false",
    Section.SECURITY,
    "Whether cookies travel over https only.",
)

TELEMETRY_ENABLED: Final = setting(
    "TELEMETRY_ENABLED",
    boolean,
    "true",
    Section.TELEMETRY,
    "Whether anything is measured at all. Exporters are OpenTelemetry's own `OTEL_*`, which are left to it.",
)
PROMETHEUS_METRICS_ENABLED: Final = setting(
    "PROMETHEUS_METRICS_ENABLED", boolean, "true", Section.TELEMETRY, "Whether `/metrics` answers."
)
LOG_LEVEL: Final = setting("LOG_LEVEL", level, "info", Section.TELEMETRY, "The least that is logged.")
LOGGER_JSON: Final = optional(
    "LOGGER_JSON", boolean, "true in production, else false", Section.TELEMETRY, "One JSON object per log line."
)

_OBSOLETE: Final = "it has no counterpart here"
PHX_SERVER: Final = optional("PHX_SERVER", anything, _OBSOLETE, Section.OBSOLETE, "Accepted.", spare=True)
LIVE_VIEW_SIGNING_SALT: Final = optional(
    "LIVE_VIEW_SIGNING_SALT", anything, _OBSOLETE, Section.OBSOLETE, "Accepted.", secret=True, spare=True
)
