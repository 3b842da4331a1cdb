"""What is kept and where it comes from: database, Kafka, cache, queue, intake, retention."""

from typing import Final

from fn_notifications.entrypoints.settings.kinds import (
    boolean,
    duration,
    group_protocol,
    listing,
    matching,
    milliseconds,
    one_of,
    password,
    properties,
    queues,
    start,
    whole,
)
from fn_notifications.entrypoints.settings.locators import broker, postgres_url, redis_url
from fn_notifications.entrypoints.settings.variable import Section, optional, setting

_DAY_MS: Final = 86_400_000
_CENTURY: Final = 36_500

DATABASE_URL: Final = optional(
    "DATABASE_URL",
    postgres_url,
    "an embedded PostgreSQL, outside production",
    Section.DATABASE,
    "Where PostgreSQL is; a transaction pooler in front of it is fine.",
    secret=True,
    outside=True,
)
POOL_SIZE: Final = setting("POOL_SIZE", whole(1, 1000), "10", Section.DATABASE, "Connections held at most.")
QUEUE_TARGET: Final = setting(
    "QUEUE_TARGET",
    milliseconds(1, 60_000),
    "50",
    Section.DATABASE,
    "Waiting longer than this for a connection, throughout a QUEUE_INTERVAL, is worth a warning.",
)
QUEUE_INTERVAL: Final = setting(
    "QUEUE_INTERVAL", milliseconds(1, 3_600_000), "5000", Section.DATABASE, "The window QUEUE_TARGET is judged over."
)

_NAME: Final = matching(r"[A-Za-z0-9._-]{1,249}", "letters, digits, dots, dashes or underscores, at most 249")
KAFKA_HOSTS: Final = optional(
    "KAFKA_HOSTS",
    listing(broker),
    "an embedded broker, outside production",
    Section.KAFKA,
    "The brokers to ask first.",
    aliases=("KAFKA_BOOTSTRAP_SERVERS",),
    outside=True,
)
KAFKA_USERNAME: Final = optional(
    "KAFKA_USERNAME",
    password,
    "no authentication",
    Section.KAFKA,
    "The SASL user, or Confluent's API key.",
    aliases=("KAFKA_API_KEY",),
    secret=True,
    outside=True,
)
KAFKA_PASSWORD: Final = optional(
    "KAFKA_PASSWORD",
    password,
    "no authentication",
    Section.KAFKA,
    "The SASL password, or Confluent's API secret.",
    aliases=("KAFKA_API_SECRET",),
    secret=True,
    outside=True,
)
KAFKA_SSL: Final = optional(
    "KAFKA_SSL",
    boolean,
    "true with KAFKA_USERNAME, else false",
    Section.KAFKA,
    "Whether the brokers are spoken to over TLS.",
    outside=True,
)
KAFKA_SASL_MECHANISM: Final = setting(
    "KAFKA_SASL_MECHANISM",
    one_of({name.lower(): name for name in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")}, "PLAIN or SCRAM-SHA-256/512"),
    "PLAIN",
    Section.KAFKA,
    "How user and password are proved.",
    outside=True,
)
KAFKA_GROUP_ID: Final = optional(
    "KAFKA_GROUP_ID",
    _NAME,
    "fn-notifications-production in production, else fn-notifications- and the environment",
    Section.KAFKA,
    "The consumer group; processes of one group share the topics.",
    aliases=("KAFKA_CONSUMER_GROUP",),
    outside=True,
)
KAFKA_GROUP_PROTOCOL: Final = setting(
    "KAFKA_GROUP_PROTOCOL",
    group_protocol,
    "classic",
    Section.KAFKA,
    "How the group shares partitions: classic stops all for a moment, cooperative moves single ones; so does consumer "
    "(KIP-848), which needs brokers from 4.0 on. All processes of a group must agree.",
    outside=True,
)
KAFKA_PROPERTIES: Final = optional(
    "KAFKA_PROPERTIES",
    properties,
    "librdkafka's defaults and ours",
    Section.KAFKA,
    "librdkafka's own properties, over ours, such as ssl.ca.location=/etc/ssl/kafka.pem. Each goes to the clients that "
    "know it. Those that offsets and acknowledgements rest on are refused.",
    secret=True,
    outside=True,
)
KAFKA_TOPICS: Final = setting(
    "KAFKA_TOPICS",
    listing(_NAME),
    "fn-posts.post.created,fn-posts.post.matched,fn-posts.post.claimed,fn-posts.post.resolved,fn-users.user.registered",
    Section.KAFKA,
    "The topics read. An event's own type decides what it is, so other groupings work as well.",
    outside=True,
)

CACHE_ADAPTER: Final = setting(
    "CACHE_ADAPTER",
    one_of({"memory": "memory", "cachex": "memory", "redis": "redis"}, "memory (or cachex) or redis"),
    "memory",
    Section.CACHE,
    "Where preferences are cached; with redis, rate limits are shared between processes too.",
    outside=True,
)
REDIS_URL: Final = optional(
    "REDIS_URL",
    redis_url,
    "required with CACHE_ADAPTER=redis, else not used",
    Section.CACHE,
    "Where Redis is.",
    secret=True,
    outside=True,
    spare=True,
)
USER_PREFERENCES_CACHE_TTL: Final = setting(
    "USER_PREFERENCES_CACHE_TTL",
    milliseconds(0, _DAY_MS),
    "300000",
    Section.CACHE,
    "How old a cached preference may be. Consent is read afresh whatever the cache says.",
)

OBAN_QUEUES: Final = setting(
    "OBAN_QUEUES",
    queues,
    "default:10,notifications:20,retries:5",
    Section.QUEUE,
    "The dispatcher's concurrency; `notifications` bounds the calls in flight over all lanes. Where the providers' own "
    "limits come to more, each has its share of it, so that one that hangs takes nothing from another.",
)
OBAN_PRUNING_MAX_AGE: Final = setting(
    "OBAN_PRUNING_MAX_AGE",
    duration(30 * 86_400),
    "3600",
    Section.QUEUE,
    "How long intakes stand for themselves after their day is over; then one does for all of a partition. The history "
    "of notifications is RETENTION_DAYS.",
)
OBAN_RESCUE_ATTEMPTS: Final = setting(
    "OBAN_RESCUE_ATTEMPTS", whole(0, 100), "3", Section.QUEUE, "How often a lease that died is taken up again."
)
DELIVERY_LEASE: Final = setting(
    "DELIVERY_LEASE",
    duration(3600, least=1),
    "120",
    Section.QUEUE,
    "How long a process that fell silent is waited for before others take its deliveries over; longer than any call.",
)
IN_DOUBT_GRACE: Final = optional(
    "IN_DOUBT_GRACE",
    duration(_DAY_MS // 1000),
    "1h for email, 15m for SMS and WhatsApp",
    Section.QUEUE,
    "How long a provider's report may clear up what became of a call before the type's policy decides.",
)
CONTACT_GRACE: Final = setting(
    "CONTACT_GRACE",
    duration(7 * 86_400),
    "900",
    Section.QUEUE,
    "How long a notification waits for the contact data of somebody nothing is known of yet.",
)
INTAKE_START: Final = setting(
    "INTAKE_START", start, "now", Section.QUEUE, "Where a consumer group begins that has never been here."
)
EVENT_RETENTION_DAYS: Final = setting(
    "EVENT_RETENTION_DAYS",
    whole(1, _CENTURY, " of days"),
    "60",
    Section.QUEUE,
    "How long an event's identity is remembered: twice the longest retention of the topics. Deduplication keys, dead "
    "letters, settled quarantine and reports about no message of ours are kept as long.",
)
RETENTION_DAYS: Final = setting(
    "RETENTION_DAYS",
    whole(1, _CENTURY, " of days"),
    "365",
    Section.QUEUE,
    "How long notifications are kept, by whole months of event time; longer while anything of a month is open.",
)
