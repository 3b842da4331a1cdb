"""What a batch came to, counted where the batch is: the side of the ledger that no later loss of a row can change."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from attrs import evolve, frozen

from fn_notifications.application.ports.intake import Batch, EventOutcome
from fn_notifications.domain.identity import day_of
from fn_notifications.domain.notification import Notification

Made = tuple[int, int, int]
"""Notifications, deliveries and recorded repetitions of one day of event time."""


@frozen(kw_only=True)
class Taken:
    """An intake: one partition's part of a batch. What the whole batch made is in its first."""

    topic: str
    partition: int
    first_offset: int
    last_offset: int
    events: int
    counts: Mapping[EventOutcome, int]
    identities: int = 0
    dead_letters: int = 0
    held: int = 0
    made: Mapping[int, Made] | None = None


def taken(
    batch: Batch,
    outcomes: Sequence[EventOutcome],
    *,
    identities: int,
    dead_letters: int,
    held: int,
    stored: Iterable[Notification],
    repeated: Iterable[UUID],
) -> list[Taken]:
    """The intakes of a batch whose events, then dead ones, had these outcomes.

    `identities` and `dead_letters` that were not known before, what was `held`, notifications stored, and of each
    recorded repetition the notification it repeats.
    """
    parts: dict[tuple[str, int], list[tuple[int, EventOutcome]]] = {}
    originals = [*(event.original for event in batch.events), *(dead.original for dead in batch.dead)]
    for original, outcome in zip(originals, outcomes, strict=True):
        at = original.position
        parts.setdefault((at.topic, at.partition), []).append((at.offset, outcome))
    intakes = [_taken(topic, partition, events) for (topic, partition), events in parts.items()]
    if intakes:
        intakes[0] = evolve(
            intakes[0], identities=identities, dead_letters=dead_letters, held=held, made=_made(stored, repeated)
        )
    return intakes


def _taken(topic: str, partition: int, events: Sequence[tuple[int, EventOutcome]]) -> Taken:
    offsets, outcomes = zip(*events, strict=True)
    return Taken(
        topic=topic,
        partition=partition,
        first_offset=min(offsets),
        last_offset=max(offsets),
        events=len(events),
        counts={outcome: outcomes.count(outcome) for outcome in EventOutcome if outcome in outcomes},
    )


def _made(stored: Iterable[Notification], repeated: Iterable[UUID]) -> Mapping[int, Made] | None:
    days: dict[int, Made] = {}
    for one in stored:
        notifications, deliveries, repeats = days.get(day_of(one.id), (0, 0, 0))
        days[day_of(one.id)] = notifications + 1, deliveries + len(one.deliveries), repeats
    for first in repeated:
        notifications, deliveries, repeats = days.get(day_of(first), (0, 0, 0))
        days[day_of(first)] = notifications, deliveries, repeats + 1
    return days or None


def folded(intakes: Iterable[Taken]) -> list[Taken]:
    """One intake for all of a partition: the same sums, the span of their offsets."""
    parts: dict[tuple[str, int], Taken] = {}
    for one in intakes:
        key = one.topic, one.partition
        parts[key] = _merged(parts[key], one) if key in parts else one
    return list(parts.values())


def _merged(one: Taken, other: Taken) -> Taken:
    days = {**(one.made or {})}
    for day, made in (other.made or {}).items():
        notifications, deliveries, repeats = days.get(day, (0, 0, 0))
        days[day] = notifications + made[0], deliveries + made[1], repeats + made[2]
    return Taken(
        topic=one.topic,
        partition=one.partition,
        first_offset=min(one.first_offset, other.first_offset),
        last_offset=max(one.last_offset, other.last_offset),
        events=one.events + other.events,
        counts={
            outcome: amount
            for outcome in EventOutcome
            if (amount := one.counts.get(outcome, 0) + other.counts.get(outcome, 0))
        },
        identities=one.identities + other.identities,
        dead_letters=one.dead_letters + other.dead_letters,
        held=one.held + other.held,
        made=days or None,
    )
