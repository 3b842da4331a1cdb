"""What librdkafka is told, and what never leaves the settings."""

from datetime import datetime
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from fn_notifications.adapters.kafka.settings import GUARDED, KafkaSettings
from fn_notifications.application.errors import Misconfigured

SECRET = "an-api-secret"


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
    assert settings().consumer().keys() | settings().producer().keys() | aliases >= GUARDED
