"""What librdkafka is told, and what never leaves the settings."""

from datetime import datetime
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from fn_notifications.adapters.kafka.properties import CONSUMERS, GUARDED, PRODUCERS
from fn_notifications.adapters.kafka.settings import KafkaSettings
from fn_notifications.application.errors import Misconfigured

SECRET = "an-api-secret"
FITTING = {
    "compression.codec": "lz4",
    "compression.type": "lz4",
    "fetch.max.bytes": "67108864",
    "group.protocol.type": "consumer",
    "isolation.level": "read_committed",
    "max.partition.fetch.bytes": "1048576",
    "offset.store.method": "broker",
    "partitioner": "murmur2_random",
    "queuing.strategy": "fifo",
    "session.timeout.ms": "45000",
    "transaction.timeout.ms": "10000",
}
"""Values for properties that 1 is none for."""


def settings(**more: Any) -> KafkaSettings:
    return KafkaSettings(bootstrap="127.0.0.1:1", **more)


@pytest.mark.parametrize(
    ("given", "protocol"),
    [
        ({}, None),
        ({"ssl": True}, "ssl"),
        ({"username": "key", "password": SECRET}, "sasl_plaintext"),
        ({"username": "key", "password": SECRET, "ssl": True}, "sasl_ssl"),
    ],
)
def test_the_security_protocol_follows_from_ssl_and_username(given: dict[str, Any], protocol: str | None) -> None:
    client = settings(**given).client()
    assert client.get("security.protocol") == protocol
    assert ("sasl.password" in client) == ("username" in given)


@pytest.mark.parametrize("protocol", ["classic", "cooperative", "consumer"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_librdkafka_accepts_it(protocol: Any, mechanism: str) -> None:
    ours = settings(
        username="key", password=SECRET, ssl=True, sasl_mechanism=mechanism, group_protocol=protocol, topics=("t",)
    )
    Producer(ours.producer())
    Consumer(ours.consumer()).close()


def test_offsets_and_acknowledgements_are_ours_alone() -> None:
    ours = settings(extra={"client.id": "pod-0", "ssl.ca.location": "/etc/ca.pem"})
    consumer, producer = ours.consumer(), ours.producer()
    assert consumer["enable.auto.offset.store"] is False
    assert consumer["auto.offset.reset"] == "error"
    assert producer["enable.idempotence"] is True
    assert producer["acks"] == "all"
    assert consumer["client.id"] == producer["client.id"] == "pod-0"


def test_a_client_is_told_what_it_knows_and_nothing_that_it_ignores(caplog) -> None:
    """Of any other it would warn on every start."""
    extra = dict.fromkeys(CONSUMERS | PRODUCERS, "1") | FITTING
    ours = settings(topics=("t",), extra=extra | {"client.id": "pod-0"})
    with caplog.at_level("WARNING"):
        Producer(ours.producer()).poll(0)
        consumer = Consumer(ours.consumer())
        consumer.poll(0)
        consumer.close()
        AdminClient(ours.client()).poll(0)
    assert [record.getMessage() for record in caplog.records if "will be ignored" in record.getMessage()] == []
    assert (ours.consumer()["fetch.min.bytes"], ours.producer()["batch.size"]) == ("1", "1")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"bootstrap": " "}, "KAFKA_HOSTS"),
        ({"username": "key"}, "KAFKA_PASSWORD"),
        ({"password": SECRET}, "KAFKA_USERNAME"),
        ({"username": "key", "password": SECRET, "sasl_mechanism": "GSSAPI"}, "KAFKA_SASL_MECHANISM"),
        ({"intake_start": datetime(2026, 1, 1)}, "INTAKE_START"),  # noqa: DTZ001 - that is what is wrong with it
        ({"session_timeout": 600.0}, "session timeout"),
        ({"extra": {"acks": "0", "enable.idempotence": "false"}}, "acks, enable.idempotence"),
    ],
)
def test_what_cannot_work_is_said_and_no_secret_with_it(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(Misconfigured, match=said) as refused:
        KafkaSettings(**{"bootstrap": "127.0.0.1:1"} | wrong)
    assert SECRET not in str(refused.value)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Misconfigured, match=r"KAFKA_HOSTS.*KAFKA_PASSWORD"):
        KafkaSettings(bootstrap="", username="key")


def test_no_secret_is_shown() -> None:
    shown = repr(settings(username="key", password=SECRET, extra={"ssl.key.password": SECRET}))
    assert SECRET not in shown


def test_an_operator_may_tune_what_reliability_does_not_rest_on() -> None:
    ours = settings(
        extra={
            "linger.ms": "50",
            "fetch.wait.max.ms": "500",
            "security.protocol": "sasl_ssl",
            "session.timeout.ms": "6000",
        }
    )
    assert ours.producer()["linger.ms"] == "50"
    assert ours.consumer()["fetch.wait.max.ms"] == "500"
    assert ours.consumer()["session.timeout.ms"] == "6000"
    assert ours.client()["security.protocol"] == "sasl_ssl"


@pytest.mark.parametrize("fixed", sorted(GUARDED))
def test_what_reliability_rests_on_is_guarded(fixed: str) -> None:
    with pytest.raises(Misconfigured, match=fixed):
        settings(extra={fixed: "1"})


def test_nothing_that_is_fixed_is_left_unguarded() -> None:
    aliases = {"delivery.timeout.ms", "metadata.broker.list", "request.required.acks"}
    never = {"delivery.report.only.error", "transactional.id"}
    assert settings().consumer().keys() | settings().producer().keys() | aliases | never >= GUARDED
