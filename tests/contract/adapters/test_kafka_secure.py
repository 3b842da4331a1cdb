"""TLS and SASL as Confluent Cloud has them: Apache Kafka with a certificate and passwords of its own."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.services.kafka import ApacheKafka, apache_kafka

from fn_notifications.adapters.kafka.publisher import open_publisher
from fn_notifications.adapters.kafka.settings import KafkaSettings
from fn_notifications.adapters.kafka.source import open_source
from fn_notifications.adapters.kafka.topics import TOPICS_IN, create_topics, missing_topics
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.ports.events import Outgoing

pytestmark = pytest.mark.external

USER, PASSWORD = "api-key", "an-api-secret"
"""Made up here, for a broker that lives as long as this module."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker.example.com")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "broker.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + signed.public_bytes(Encoding.PEM)
    )
    return path


@pytest.fixture(scope="module")
def secure_kafka(kafka: ApacheKafka, certificate: Path) -> Iterator[ApacheKafka]:
    """A broker of its own; `kafka` decides whether there can be one."""
    listener = "listener.name.sasl_ssl."
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    properties = {
        f"{listener}ssl.keystore.type": "PEM",
        f"{listener}ssl.keystore.location": str(certificate),
        f"{listener}sasl.enabled.mechanisms": "PLAIN",
        f"{listener}plain.sasl.jaas.config": f'{login} user_{USER}="{PASSWORD}";',
    }
    with apache_kafka(properties) as broker:
        yield broker


def settings(broker: ApacheKafka, certificate: Path, password: str = PASSWORD) -> KafkaSettings:
    return KafkaSettings(
        bootstrap=broker.secure_bootstrap,
        topics=("fn-posts.post.created",),
        username=USER,
        password=password,
        ssl=True,
        intake_start="earliest",
        publish_timeout=5.0,
        extra={"ssl.ca.location": str(certificate)},
    )


async def test_events_pass_through_tls_and_sasl(secure_kafka: ApacheKafka, certificate: Path) -> None:
    ours = settings(secure_kafka, certificate)
    await create_topics(ours, TOPICS_IN[:1])
    async with open_publisher(ours) as publisher, open_source(ours) as source:
        await publisher.publish([Outgoing(topic=ours.topics[0], key=b"k", value=b"v")])
        records = await source.take(1, 30)
    assert [record.value for record in records] == [b"v"]


async def test_a_wrong_password_is_unavailable_and_unsaid(
    secure_kafka: ApacheKafka, certificate: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fn_notifications.adapters.kafka.topics._PATIENCE", 2.0)
    wrong = settings(secure_kafka, certificate, password="not-the-secret")
    with pytest.raises(Unavailable, match="_AUTHENTICATION"):
        await missing_topics(wrong, wrong.topics)
    async with open_publisher(wrong) as publisher:
        with pytest.raises(Unavailable):
            await publisher.publish([Outgoing(topic=wrong.topics[0], key=b"k", value=b"v")])
    assert "Authentication failed" in caplog.text
    assert "not-the-secret" not in caplog.text


async def test_a_certificate_nobody_vouches_for_is_not_trusted(secure_kafka: ApacheKafka, certificate: Path) -> None:
    trusting_nobody = evolve(settings(secure_kafka, certificate), extra={}, publish_timeout=2.0)
    async with open_publisher(trusting_nobody) as publisher:
        with pytest.raises(Unavailable):
            await publisher.publish([Outgoing(topic="t", key=b"k", value=b"v")])
