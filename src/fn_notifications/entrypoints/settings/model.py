"""The configuration as the rest of the service sees it. Durations are seconds."""

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from fn_notifications.domain.address import Address, Channel, EmailAddress, PhoneNumber
from fn_notifications.entrypoints.settings.kinds import GroupProtocol, IntakeStart
from fn_notifications.entrypoints.settings.locators import ContactKey, is_loopback
from fn_notifications.entrypoints.settings.secret import Secret
from fn_notifications.entrypoints.settings.variables.service import Environment, Role


@frozen(kw_only=True)
class Http:
    """Where HTTP listens and what it is called outside."""

    port: int
    bind: str
    public_host: str
    """With its port, where that is not the scheme's own."""

    @property
    def public_url(self) -> str:
        """What links begin with: https, but plain http and the listening port on this machine."""
        if is_loopback(f"http://{self.public_host}"):
            port = "" if ":" in self.public_host.removeprefix("[::1]") else f":{self.port}"
            return f"http://{self.public_host}{port}"
        return f"https://{self.public_host}"


@frozen(kw_only=True)
class Database:
    """PostgreSQL and the pool in front of it."""

    url: Secret[str] | None
    """None: an embedded one."""
    pool_size: int
    checkout_target: float
    checkout_window: float


@frozen(kw_only=True)
class Kafka:
    """The broker, the group and the topics."""

    hosts: tuple[str, ...]
    """Empty: an embedded one, or none where neither intake nor relay runs."""
    username: Secret[str] | None
    password: Secret[str] | None
    tls: bool
    mechanism: str
    group: str
    group_protocol: GroupProtocol
    topics: tuple[str, ...]
    properties: Mapping[str, Secret[str]]
    forgets: bool = False
    """The broker starts empty each time: a group without offsets has lost none."""


@frozen(kw_only=True)
class Circuit:
    """`failures` without a success between, inside `window`, open it; one probe goes through after `reset`."""

    failures: int
    window: float
    reset: float


@frozen(kw_only=True)
class Lane:
    """One channel: who carries it in order of failover, how much at once and how fast, how long a call may take."""

    adapters: tuple[str, ...]
    """Empty: the channel is off."""
    concurrency: int
    """By each of them."""
    deadline: float
    rate: float | None
    """Messages a second by each of them, in all processes together; None: as many as there are."""
    batch: int
    """How many messages share a call at most, where one of them takes several."""
    circuit: Circuit

    @property
    def on(self) -> bool:
        """Whether anybody carries it."""
        return bool(self.adapters)


@frozen(kw_only=True)
class Mail:
    """Who mail is from."""

    address: EmailAddress
    name: str | None
    reply_to: EmailAddress | None


@frozen(kw_only=True)
class SendGrid:
    """The SendGrid account."""

    api_key: Secret[str] | None
    webhook_key: str | None
    base_url: str


@frozen(kw_only=True)
class Twilio:
    """The Twilio account."""

    account_sid: Secret[str] | None
    auth_token: Secret[str] | None
    phone_number: PhoneNumber | None
    messaging_service: str | None
    whatsapp_number: PhoneNumber | None
    base_url: str


@frozen
class Allowlist:
    """The only people who may be written to."""

    addresses: frozenset[str] = field(repr=False)
    domains: frozenset[str] = field(repr=False)

    def permits(self, address: Address) -> bool:
        """Whether the address is listed, or its domain is."""
        if address.lookup in self.addresses:
            return True
        return isinstance(address, EmailAddress) and address.domain in self.domains


@frozen(kw_only=True)
class Cache:
    """`adapter` is memory or redis; `redis_url` is set with redis only."""

    adapter: str
    redis_url: Secret[str] | None
    preferences_ttl: float


@frozen(kw_only=True)
class Queue:
    """How much is done at once, and how long finished queue state is kept."""

    concurrency: Mapping[str, int]
    calls_in_flight: int
    """Over all lanes together."""
    prune_after: float
    rescues: int
    lease: float
    doubt_grace: float | None
    """None: as long as the channel's reports usually take."""


@frozen(kw_only=True)
class Intake:
    """Where a new consumer group begins, and how long a message waits for contact data."""

    start: IntakeStart
    contact_grace: float


@frozen(kw_only=True)
class Retention:
    """Days."""

    events: int
    history: int


@frozen(kw_only=True)
class Telemetry:
    """What is measured and logged. `log_level` is debug, info, warning or error."""

    enabled: bool
    prometheus: bool
    log_level: str
    log_json: bool


@frozen(kw_only=True)
class Security:
    """Browsers, and the keys of sessions and of links in messages."""

    cors_origins: tuple[str, ...]
    csrf_protection: bool
    secure_cookies: bool
    session_key: Secret[bytes]
    link_key: Secret[bytes]


@frozen(kw_only=True)
class Jwt:
    """Whose tokens are believed: signed with `secret`, or with a key found at `jwks_url`. One of the two is None."""

    secret: Secret[bytes] | None
    jwks_url: str | None
    issuer: str | None
    audience: str | None
    algorithms: tuple[str, ...]


@frozen(kw_only=True)
class Vault:
    """What seals and what hashes. The first contact key seals; all of them open."""

    contact_keys: tuple[ContactKey, ...]
    lookup_key: Secret[bytes]


@frozen(kw_only=True)
class Settings:
    """Everything a process is told before it starts."""

    environment: Environment
    embedded: bool
    """Whether parts that are not configured are embedded."""
    tenant: str
    roles: frozenset[Role]
    processes: int
    shutdown_grace: float
    state_dir: Path
    http: Http
    database: Database
    kafka: Kafka
    lanes: Mapping[Channel, Lane]
    circuit: Circuit
    """For a channel no variable names."""
    mail: Mail
    http_client: str
    """The module of `adapters/transport` that providers are called by."""
    sendgrid: SendGrid
    twilio: Twilio
    allowlist: Allowlist | None
    """None: everybody."""
    cache: Cache
    queue: Queue
    intake: Intake
    retention: Retention
    telemetry: Telemetry
    security: Security
    jwt: Jwt
    vault: Vault
    warnings: tuple[str, ...] = ()
    """What works otherwise than its author may think; to be logged at the start."""
    notices: tuple[str, ...] = ()
    """What was read and needs nothing done."""

    @property
    def embeds_database(self) -> bool:
        """Whether PostgreSQL is embedded."""
        return self.embedded and self.database.url is None

    @property
    def embeds_kafka(self) -> bool:
        """Whether the broker is embedded."""
        return self.embedded and not self.kafka.hosts
