"""`explain ID`: why a notification is where it is."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from attrs import asdict, evolve

from fn_notifications.application.explain import Explanation
from fn_notifications.application.ports.telemetry import Silent
from fn_notifications.entrypoints.bootstrap import bootstrap
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation."""
    id_ = _notification_id(arguments.id)
    if id_ is None:
        print(f"fn-notifications: {arguments.id!r} is no notification, delivery or attempt id", file=sys.stderr)
        return 2
    settings = database_of_running()
    explanation = asyncio.run(_explain(settings, id_))
    if explanation is None:
        print(f"fn-notifications: no notification {id_}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(asdict(explanation), default=datetime.isoformat, indent=2))
    else:
        print("\n".join(_text(explanation)))
    return 0


def _notification_id(text: str) -> UUID | None:
    """A delivery's or attempt's id begins with its notification's."""
    for candidate in (text, text.partition("-")[0]):
        try:
            return UUID(candidate)
        except ValueError:
            continue
    return None


async def _explain(settings: Settings, id_: UUID) -> Explanation | None:
    async with bootstrap(evolve(settings, roles=frozenset()), Silent()) as service:
        return await service.notifications.explain(id_)


def _text(explanation: Explanation) -> Iterator[str]:
    yield f"{explanation.notification_id}  {explanation.notification_type} for {explanation.user_id}"
    yield f"status: {explanation.status}"
    if explanation.repeats:
        yield f"repetitions recorded: {explanation.repeats}"
    yield ""
    yield from (f"  {sentence}" for sentence in explanation.summary)
    yield from (f"  {sentence}" for sentence in explanation.waits)
    yield ""
    for step in explanation.steps:
        yield f"  {step.at:%Y-%m-%d %H:%M:%S.%f}  {step.channel:<9} {step.what:<8} {step.text}"
