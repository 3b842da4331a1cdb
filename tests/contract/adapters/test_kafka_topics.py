"""The deployment guide's topics, made on Apache Kafka."""

from datetime import timedelta

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined] # they are
from tests.services.kafka import ApacheKafka

from fn_notifications.adapters.kafka.embedded import EmbeddedBroker
from fn_notifications.adapters.kafka.settings import KafkaSettings
from fn_notifications.adapters.kafka.topics import TOPICS_IN, TOPICS_OUT, TopicSpec, create_topics, missing_topics
from fn_notifications.application.errors import Misconfigured, Unavailable

GUIDE = {
    "fn-posts.post.created": (6, 30),
    "fn-posts.post.matched": (6, 30),
    "fn-posts.post.claimed": (6, 7),
    "fn-posts.post.resolved": (3, 30),
    "fn-users.user.registered": (3, 30),
    "fn-notifications.notification.sent": (3, 7),
    "fn-notifications.delivery.failed": (3, 7),
    "fn-notifications.notification.delivered": (3, 7),
    "fn-notifications.dead-letter": (3, 7),
}
"""Partitions and days, from the guide's commands and the specification of events."""


@pytest.mark.external
async def test_the_guides_topics_are_made_once(kafka: ApacheKafka) -> None:
    settings = KafkaSettings(bootstrap=kafka.bootstrap)
    specs = (*TOPICS_IN, *TOPICS_OUT)
    assert await missing_topics(settings, GUIDE) == tuple(GUIDE)
    assert set(await create_topics(settings, specs)) == set(GUIDE)
    assert await create_topics(settings, specs) == ()
    assert await missing_topics(settings, GUIDE) == ()
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    topics = admin.list_topics(timeout=10).topics
    for name, (partitions, days) in GUIDE.items():
        assert len(topics[name].partitions) == partitions
        (answer,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)]).values()
        assert answer.result()["retention.ms"].value == str(days * 24 * 3600 * 1000)


@pytest.mark.external
async def test_what_the_cluster_refuses_is_misconfigured(kafka: ApacheKafka) -> None:
    settings = KafkaSettings(bootstrap=kafka.bootstrap)
    with pytest.raises(Misconfigured, match=r"TOPIC_EXCEPTION|INVALID_TOPIC"):
        await create_topics(settings, [TopicSpec("no/such/name", 1, timedelta(days=1))])


async def test_nothing_asked_nothing_done() -> None:
    assert await create_topics(KafkaSettings(bootstrap="127.0.0.1:1"), []) == ()


async def test_a_cluster_that_does_not_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fn_notifications.adapters.kafka.topics._PATIENCE", 0.1)
    with EmbeddedBroker() as broker:
        broker.go_down()
        settings = KafkaSettings(bootstrap=broker.bootstrap, publish_timeout=0.2)
        with pytest.raises(Unavailable):
            await create_topics(settings, TOPICS_OUT)
        with pytest.raises(Unavailable):
            await missing_topics(settings, GUIDE)
