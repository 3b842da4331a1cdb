"""The oracle's other half: every event accounted for, every delivery ended or explained, every change published."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from tests.chaos.judge import Verdict
from tests.chaos.town import LOCAL_PART, OUR_NUMBER, PHONE_PREFIX, Happening
from tests.services.deployment import Deployment
from tests.services.worker import Worker

from fn_notifications.adapters.kafka.topics import TOPICS_OUT

UNEXPLAINED = """
SELECT d.notification_id::text, d.status
FROM deliveries d
LEFT JOIN due q ON (q.tenant, q.notification_id, q.no) = (d.tenant, d.notification_id, d.no)
WHERE (d.status = 'sending')
   OR (d.status IN ('pending', 'in_doubt') AND (q.due_at IS NULL OR d.reason IS NULL OR q.due_at < fn_now()))
"""
"""Open ones that nothing will come back for, or that had been due when all was said to be settled."""

PUBLIC = """
SELECT coalesce(id, replace(notification_id::text, '-', '') || '-' || no || '-v' || version)
FROM event_log WHERE topic IS NOT NULL
"""
"""Ids of what is told to the outside; a delivery's are made from its key and version."""


async def judge_events(verdict: Verdict, deployment: Deployment, told: Mapping[str, Happening]) -> None:
    """Every offset is in the intake ledger, every event became exactly the notifications it should."""
    rows = await deployment.query("SELECT correlation_id, user_id, type FROM notifications")
    made: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for id_, user_id, type_ in rows:
        made[id_].add((user_id, type_))
    verdict.lost += verdict.complain(
        "notifications lost",
        ((id_, *one.expected - made[id_]) for id_, one in told.items() if one.expected - made[id_]),
    )
    verdict.unexpected += verdict.complain(
        "notifications nobody asked for",
        ((id_, *found) for id_, found in made.items() if id_ not in told or found - told[id_].expected),
    )
    verdict.lost += verdict.complain("offsets not in the ledger", await _gaps(deployment))


async def _gaps(deployment: Deployment) -> list[tuple[int, int]]:
    """Partitions and offsets that no intake row covers."""
    ends = await asyncio.to_thread(_ends, deployment)
    rows = await deployment.query(
        f"SELECT partition, first_offset, last_offset FROM intake WHERE topic = '{deployment.topics[0]}'"
    )
    covered: dict[int, set[int]] = defaultdict(set)
    for partition, first, last in rows:
        covered[partition].update(range(first, last + 1))
    return [(number, offset) for number, end in ends.items() for offset in range(end) if offset not in covered[number]]


def _ends(deployment: Deployment) -> dict[int, int]:
    consumer = Consumer({"bootstrap.servers": deployment.kafka, "group.id": "judge"})
    topic = deployment.topics[0]
    numbers = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    ends = {number: consumer.get_watermark_offsets(TopicPartition(topic, number))[1] for number in numbers}
    consumer.close()
    return ends


async def judge_ledger(verdict: Verdict, deployment: Deployment) -> Mapping[str, int]:
    """The ledger balances by its own account. Returns its deliveries by status."""
    document = json.loads(await deployment.command("ledger", "--json", codes=(0, 1)))
    verdict.complain("imbalances in the ledger", document["imbalances"])
    deliveries: Mapping[str, int] = document["deliveries"]
    verdict.lost += verdict.complain("deliveries without an explanation", await deployment.query(UNEXPLAINED))
    return deliveries


async def judge_published(verdict: Verdict, deployment: Deployment) -> None:
    """What the log says is to be published was: at least once, in order per delivery, and nothing else."""
    rows = await deployment.query(PUBLIC)
    wanted = {id_ for (id_,) in rows}
    messages = await asyncio.to_thread(_published, deployment)
    seen: set[str] = set()
    last: dict[tuple[str, str], int] = defaultdict(int)
    disordered = []
    for topic, event in messages:
        if event["id"] in seen or "delivery_id" not in event["data"]:
            seen.add(event["id"])
            continue
        seen.add(event["id"])
        place, version = (topic, event["data"]["delivery_id"]), event["data"]["version"]
        if version < last[place]:
            disordered.append(event["id"])
        last[place] = version
    verdict.lost += verdict.complain("events not published", wanted - seen)
    verdict.complain("events published out of order", disordered)


def _published(deployment: Deployment) -> Sequence[tuple[str, Mapping[str, Any]]]:
    """Everything in our topics that is about this deployment, in the order of each partition."""
    consumer = Consumer({"bootstrap.servers": deployment.kafka, "group.id": "judge", "enable.auto.commit": False})
    places = [
        TopicPartition(spec.name, number, OFFSET_BEGINNING) for spec in TOPICS_OUT for number in range(spec.partitions)
    ]
    left = sum(consumer.get_watermark_offsets(place)[1] for place in places)
    consumer.assign(places)
    found = []
    while left:
        messages = consumer.consume(1000, 10)
        assert messages, "Kafka has fewer messages than it says"
        left -= len(messages)
        found += [(message.topic(), json.loads(message.value())) for message in messages]
    consumer.close()
    return found


def judge_workers(verdict: Verdict, workers: Sequence[Worker]) -> None:
    """No address in a log, and nobody died of what it should have survived."""
    verdict.complain(
        "addresses in logs",
        (f"{one.name}: {line[:200]}" for one in workers for line in one.log.read_text().splitlines() if _names(line)),
    )
    verdict.complain(
        "processes that died by themselves",
        (f"{one.name} after {death.uptime:.0f} s, {death.code}" for one in workers for death in one.serious),
    )


def _names(line: str) -> bool:
    return LOCAL_PART in line or PHONE_PREFIX in line.replace(OUR_NUMBER, "")
