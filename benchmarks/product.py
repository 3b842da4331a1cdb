"""The product as it is installed: `fn-notifications serve` in a process of its own, told everything by settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import evolve

from benchmarks.ground import Ground, surroundings
from benchmarks.message import SENDER
from benchmarks.processes import Program
from fn_notifications.application.ports.telemetry import Silent
from fn_notifications.entrypoints.bootstrap import Service, bootstrap
from fn_notifications.entrypoints.settings import load_settings

NOBODY = "http://127.0.0.1:9"
_SERVICE = "fn_notifications.entrypoints.cli.main"
_SECRET = "a-secret-of-the-measurements-that-is-long-enough-for-anybody"


def environment(
    directory: Path,
    *,
    database: str,
    provider: str,
    calls: int = 64,
    batch: int = 1,
    roles: str = "dispatch",
    **more: str,
) -> dict[str, str]:
    """The settings of a service that sends email: so many calls on the wire, so many messages in each."""
    return surroundings(
        {
            "HOME": str(directory),
            "ENVIRONMENT": "test",
            "SECRET_KEY_BASE": _SECRET,
            "LOG_LEVEL": "warning",
            "ROLE": roles,
            "DATABASE_URL": database,
            "EMAIL_ADAPTER": "sendgrid",
            "SENDGRID_API_KEY": "SG.measurements",
            "SENDGRID_BASE_URL": provider,
            "FROM_EMAIL": SENDER,
            "EMAIL_BATCH": str(batch),
            "EMAIL_POOL_MAX_CONCURRENCY": str(calls),
            "OBAN_QUEUES": f"default:10,notifications:{calls},retries:5",
            **more,
        }
    )


@asynccontextmanager
async def serving(ground: Ground, name: str, told: dict[str, str]) -> AsyncIterator[Program]:
    """The service in a process of its own."""
    async with ground.running(name, _SERVICE, "serve", environment=told) as program:
        yield program


@asynccontextmanager
async def composed(directory: Path, database: str) -> AsyncIterator[Service]:
    """The same composition in this process, with no loop running: to fill databases through its front doors."""
    settings = load_settings(environment(directory, database=database, provider=NOBODY), cwd=directory)
    async with bootstrap(evolve(settings, roles=frozenset()), Silent()) as service:
        yield service
