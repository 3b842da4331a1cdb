"""What the operator says about Kafka, and what librdkafka is told because of it."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

from fn_notifications.adapters.kafka.logs import ClientLog
from fn_notifications.adapters.kafka.properties import CONSUMERS, GUARDED, PRODUCERS
from fn_notifications.application.errors import Misconfigured

Start: TypeAlias = Literal["now", "earliest"] | datetime
GroupProtocol: TypeAlias = Literal["classic", "cooperative", "consumer"]

_CONSUMING: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "auto.commit.interval.ms": 1000,
        # A modest prefetch. With a small queue the default back-off of 1 s would cap a partition's rate at one queue
        # a second.
        "queued.min.messages": 10_000,
        "queued.max.messages.kbytes": 8192,
        "fetch.queue.backoff.ms": 10,
        # A real broker answers as soon as something comes, the embedded one only when this wait is over.
        "fetch.wait.max.ms": 100,
    }
)
_PRODUCING: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "linger.ms": 5,
        "compression.type": "lz4",
        # How large a message may be is the topic's to say, not ours.
        "message.max.bytes": 16 * 1024 * 1024,
        # What Java clients use: equal keys meet in equal partitions, whoever wrote them.
        "partitioner": "murmur2_random",
    }
)
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@frozen(kw_only=True)
class KafkaSettings:
    """One Kafka cluster and our place in it. Raises `Misconfigured` for combinations that cannot work."""

    bootstrap: str
    """`host:port`, several separated by commas."""
    group_id: str = "fn-notifications"
    topics: tuple[str, ...] = ()
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ssl: bool = False
    sasl_mechanism: str = "PLAIN"
    intake_start: Start = "now"
    """Where a topic begins that this group has never read; it has no say once offsets are committed."""
    group_protocol: GroupProtocol = "classic"
    """`classic` works everywhere; `consumer` (KIP-848) moves single partitions but needs brokers from 4.0 on."""
    session_timeout: float = 45.0
    """Seconds until the broker gives up a silent member. The `consumer` protocol leaves this to the broker."""
    max_poll_interval: float = 300.0
    """Seconds without polling after which this member leaves the group; see `KafkaSource`."""
    keepalive: float = 1.0
    """Seconds the application may keep a batch before polling goes on without it."""
    topic_refresh: float = 10.0
    """Seconds until a topic or partition that was created meanwhile is seen."""
    publish_timeout: float = 30.0
    """Seconds a published batch may stay unacknowledged."""
    extra: Mapping[str, str] = field(factory=dict, repr=False)
    """librdkafka's own properties, such as `ssl.ca.location`, over ours, each for the clients that know it; may hold
    secrets."""

    def __attrs_post_init__(self) -> None:
        problems = "; ".join(self._problems())
        if problems:
            raise Misconfigured(problems)

    def consumer(self) -> dict[str, Any]:
        """A member of the group that stores no offset by itself and never moves to another one unasked."""
        protocol = {"group.protocol": "consumer"} if self.group_protocol == "consumer" else self._classic()
        return {
            **_CONSUMING,
            **protocol,
            **self._client(unfit=PRODUCERS),
            "group.id": self.group_id,
            "max.poll.interval.ms": _ms(self.max_poll_interval),
            "topic.metadata.refresh.interval.ms": _ms(self.topic_refresh),
            "enable.auto.offset.store": False,
            "enable.auto.commit": True,
            # The source decides itself, and says so, where to go on when there is no valid offset.
            "auto.offset.reset": "error",
        }

    def producer(self) -> dict[str, Any]:
        """An idempotent producer that gives nothing up by itself: the publisher times whole batches out.

        A message that expired alone could be overtaken by its successor.
        """
        return {
            **_PRODUCING,
            **self._client(unfit=CONSUMERS),
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": 0,
        }

    def client(self) -> dict[str, Any]:
        """What every client of this cluster needs; enough for an admin client."""
        return self._client(unfit=CONSUMERS | PRODUCERS)

    def _client(self, *, unfit: AbstractSet[str]) -> dict[str, Any]:
        return {
            "client.id": "fn-notifications",
            "reconnect.backoff.max.ms": 2000,
            "socket.keepalive.enable": True,
            **self._security(),
            **{name: value for name, value in self.extra.items() if name not in unfit},
            "bootstrap.servers": self.bootstrap,
            "logger": ClientLog(),
        }

    def _classic(self) -> dict[str, Any]:
        strategy = "cooperative-sticky" if self.group_protocol == "cooperative" else "range"
        return {
            "group.protocol": "classic",
            "partition.assignment.strategy": strategy,
            "session.timeout.ms": _ms(self.session_timeout),
            # Often enough for a rebalance to be noticed soon, and for some to be missed.
            "heartbeat.interval.ms": min(3000, _ms(self.session_timeout) // 10),
        }

    def _security(self) -> dict[str, Any]:
        if self.username is None:
            return {"security.protocol": "ssl"} if self.ssl else {}
        return {
            "security.protocol": "sasl_ssl" if self.ssl else "sasl_plaintext",
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.username,
            "sasl.password": self.password,
        }

    def _problems(self) -> list[str]:
        guarded = sorted(GUARDED & self.extra.keys())
        start = self.intake_start
        checks = [
            (not self.bootstrap.strip(), "KAFKA_HOSTS is empty: host:port expected"),
            (
                (self.username is None) != (self.password is None),
                "KAFKA_USERNAME and KAFKA_PASSWORD belong together",
            ),
            (
                self.username is not None and self.sasl_mechanism not in MECHANISMS,
                f"KAFKA_SASL_MECHANISM is not one of {', '.join(MECHANISMS)}",
            ),
            (
                isinstance(start, datetime) and start.tzinfo is None,
                "INTAKE_START is a time without a time zone",
            ),
            (
                self.max_poll_interval < self.session_timeout,
                "the poll interval is shorter than the session timeout",
            ),
            (bool(guarded), f"these Kafka properties are fixed: {', '.join(guarded)}"),
        ]
        return [message for wrong, message in checks if wrong]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
