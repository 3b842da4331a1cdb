"""The topics of the deployment guide."""

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future
from datetime import timedelta
from typing import Final

from attrs import frozen
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from fn_notifications.adapters.kafka.faults import code_of, configured, name_of
from fn_notifications.adapters.kafka.settings import KafkaSettings
from fn_notifications.application.errors import Misconfigured, Unavailable


@frozen
class TopicSpec:
    """How a topic is to be created; replicas are the cluster's default."""

    name: str
    partitions: int
    retention: timedelta


# Seconds to wait for the list of topics.
_PATIENCE: Final = 10.0
_WEEK: Final = timedelta(days=7)
_MONTH: Final = timedelta(days=30)

TOPICS_IN: Final = (
    TopicSpec("fn-posts.post.created", 6, _MONTH),
    TopicSpec("fn-posts.post.matched", 6, _MONTH),
    TopicSpec("fn-posts.post.claimed", 6, _WEEK),
    TopicSpec("fn-posts.post.resolved", 3, _MONTH),
    TopicSpec("fn-users.user.registered", 3, _MONTH),
)
TOPICS_OUT: Final = (
    TopicSpec("fn-notifications.notification.sent", 3, _WEEK),
    TopicSpec("fn-notifications.delivery.failed", 3, _WEEK),
    TopicSpec("fn-notifications.notification.delivered", 3, _WEEK),
    TopicSpec("fn-notifications.dead-letter", 3, _WEEK),
)


async def create_topics(settings: KafkaSettings, specs: Iterable[TopicSpec]) -> tuple[str, ...]:
    """Create what is missing and return its names; a topic that exists stays as it is.

    Raises `Misconfigured` when the cluster refuses (no right to, a retention it does not allow), `Unavailable` when
    it does not answer within `settings.publish_timeout`. Topics before the failed one may have been created.
    """
    with configured("the Kafka admin client"):
        client = AdminClient(settings.client())
    topics = [
        NewTopic(
            spec.name,
            num_partitions=spec.partitions,
            replication_factor=-1,
            config={"retention.ms": str(spec.retention // timedelta(milliseconds=1))},
        )
        for spec in specs
    ]
    if not topics:
        return ()
    timeout = settings.publish_timeout
    answers = client.create_topics(topics, operation_timeout=timeout, request_timeout=timeout)
    return tuple([name for name, answer in answers.items() if await _is_created(name, answer)])


async def missing_topics(settings: KafkaSettings, names: Iterable[str]) -> tuple[str, ...]:
    """Which of these do not exist. Raises `Unavailable` when the cluster does not answer or does not let us in."""
    why: set[str] = set()
    with configured("the Kafka admin client"):
        config = settings.client() | {"error_cb": lambda error: why.add(name_of(error))}
        client = AdminClient(config)
    try:
        known = (await asyncio.to_thread(client.list_topics, timeout=_PATIENCE)).topics
    except KafkaException as error:
        # The answer itself is a time-out; a wrong password is told to the callback only.
        client.poll(0)
        raise Unavailable(f"Kafka does not answer: {', '.join(sorted(why | {name_of(error)}))}") from None
    return tuple(name for name in names if name not in known)


async def _is_created(name: str, answer: "Future[None]") -> bool:
    try:
        await asyncio.wrap_future(answer)
    except KafkaException as error:
        if code_of(error) == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        if (code_of(error) or 0) > 0:
            raise Misconfigured(f"Kafka refuses to create {name}: {name_of(error)}") from None
        raise Unavailable(f"Kafka does not create {name}: {name_of(error)}") from None
    return True
