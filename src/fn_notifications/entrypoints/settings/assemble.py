"""From readings that have been checked to the settings the service sees."""

from pathlib import Path
from types import MappingProxyType
from typing import Final

from fn_notifications.domain.address import EMAIL, Channel, EmailAddress, PhoneNumber
from fn_notifications.entrypoints.settings import model
from fn_notifications.entrypoints.settings.check import DEVELOPMENT_SECRET
from fn_notifications.entrypoints.settings.locators import ContactKey, sender_at
from fn_notifications.entrypoints.settings.plan import Plan
from fn_notifications.entrypoints.settings.readings import Readings
from fn_notifications.entrypoints.settings.secret import Secret, derive
from fn_notifications.entrypoints.settings.variables import channels as of
from fn_notifications.entrypoints.settings.variables import security, service, stores

_NOBODY: Final = EmailAddress("notifications@localhost.localdomain")
_COMPANION_FAILURES: Final = 3
_COMPANION_RESET: Final = 600.0


def assemble(
    read: Readings, plan: Plan, cwd: Path, *, warnings: tuple[str, ...], notices: tuple[str, ...]
) -> model.Settings:
    """Put everything in its place and fill in what depends on something else."""
    environment = plan.environment or read[service.ENVIRONMENT]
    base = read.get(security.SECRET_KEY_BASE, DEVELOPMENT_SECRET)
    host = read.get(service.PUBLIC_HOST, "localhost")
    group = "production" if plan.production else environment.value
    return model.Settings(
        environment=environment,
        embedded=plan.embedded,
        tenant=read[service.TENANT],
        roles=frozenset(read[service.ROLE]),
        processes=read[service.PROCESSES],
        shutdown_grace=read[service.SHUTDOWN_GRACE],
        state_dir=cwd / read[service.STATE_DIR],
        http=model.Http(
            port=read[service.PORT],
            bind=read.get(service.BIND_ADDRESS, "0.0.0.0" if plan.production else "127.0.0.1"),  # noqa: S104 - a container's own interface
            public_host=host,
        ),
        database=model.Database(
            url=read[stores.DATABASE_URL],
            pool_size=read[stores.POOL_SIZE],
            checkout_target=read[stores.QUEUE_TARGET],
            checkout_window=read[stores.QUEUE_INTERVAL],
        ),
        kafka=_kafka(read, f"fn-notifications-{group}"),
        lanes=MappingProxyType({channel: _lane(read, plan, channel) for channel in of.CHANNELS}),
        circuit=_circuit(read),
        mail=model.Mail(
            address=read.get(of.FROM_EMAIL, sender_at(host) or _NOBODY),
            name=read[of.FROM_NAME],
            reply_to=read[of.REPLY_TO_EMAIL],
        ),
        http_client=read[of.HTTP_CLIENT],
        sendgrid=model.SendGrid(
            api_key=read[of.SENDGRID_API_KEY],
            webhook_key=read[of.SENDGRID_WEBHOOK_PUBLIC_KEY],
            base_url=read[of.SENDGRID_BASE_URL],
        ),
        twilio=model.Twilio(
            account_sid=read[of.TWILIO_ACCOUNT_SID],
            auth_token=read[of.TWILIO_AUTH_TOKEN],
            phone_number=read[of.TWILIO_PHONE_NUMBER],
            messaging_service=read[of.TWILIO_MESSAGING_SERVICE_SID],
            whatsapp_number=read[of.TWILIO_WHATSAPP_NUMBER],
            base_url=read[of.TWILIO_BASE_URL],
        ),
        allowlist=_allowlist(read),
        cache=_cache(read),
        queue=_queue(read),
        intake=model.Intake(start=read[stores.INTAKE_START], contact_grace=read[stores.CONTACT_GRACE]),
        retention=model.Retention(events=read[stores.EVENT_RETENTION_DAYS], history=read[stores.RETENTION_DAYS]),
        telemetry=model.Telemetry(
            enabled=read[service.TELEMETRY_ENABLED],
            prometheus=read[service.PROMETHEUS_METRICS_ENABLED],
            log_level=read[service.LOG_LEVEL],
            log_json=read.get(service.LOGGER_JSON, plan.production),
        ),
        security=model.Security(
            cors_origins=read.get(service.CORS_ORIGINS, ()),
            csrf_protection=read[service.CSRF_PROTECTION],
            secure_cookies=read.get(service.SECURE_COOKIES, plan.production),
            session_key=derive(base, "session"),
            link_key=derive(base, "link"),
        ),
        jwt=_jwt(read, base),
        vault=_vault(read, base),
        warnings=warnings,
        notices=notices,
    )


def _kafka(read: Readings, group: str) -> model.Kafka:
    return model.Kafka(
        hosts=read.get(stores.KAFKA_HOSTS, ()),
        username=read[stores.KAFKA_USERNAME],
        password=read[stores.KAFKA_PASSWORD],
        tls=read.get(stores.KAFKA_SSL, read.given(stores.KAFKA_USERNAME)),
        mechanism=read[stores.KAFKA_SASL_MECHANISM],
        group=read.get(stores.KAFKA_GROUP_ID, group),
        group_protocol=read[stores.KAFKA_GROUP_PROTOCOL],
        topics=read[stores.KAFKA_TOPICS],
        properties=read.get(stores.KAFKA_PROPERTIES, {}),
    )


def _lane(read: Readings, plan: Plan, channel: Channel) -> model.Lane:
    variables = of.CHANNELS[channel]
    general = _circuit(read, patient=channel != EMAIL)
    return model.Lane(
        adapters=plan.adapters[channel],
        concurrency=read[variables.concurrency],
        deadline=read[variables.deadline],
        rate=read[variables.rate],
        batch=read[of.EMAIL_BATCH] if channel == EMAIL else 1,
        circuit=model.Circuit(
            failures=read.get(variables.threshold, general.failures),
            window=read.get(variables.window, general.window),
            reset=read.get(variables.reset, general.reset),
        ),
    )


def _circuit(read: Readings, *, patient: bool = False) -> model.Circuit:
    """The general circuit; `patient` for channels whose own default gives up sooner and waits longer."""
    failures, reset = read[of.CIRCUIT_THRESHOLD], read[of.CIRCUIT_RESET]
    if patient and not read.given(of.CIRCUIT_THRESHOLD):
        failures = _COMPANION_FAILURES
    if patient and not read.given(of.CIRCUIT_RESET):
        reset = _COMPANION_RESET
    return model.Circuit(failures=failures, window=read[of.CIRCUIT_WINDOW], reset=reset)


def _allowlist(read: Readings) -> model.Allowlist | None:
    listed = read[of.RECIPIENT_ALLOWLIST]
    if listed is None:
        return None
    return model.Allowlist(
        addresses=frozenset(entry.lookup for entry in listed if isinstance(entry, EmailAddress | PhoneNumber)),
        domains=frozenset(entry for entry in listed if isinstance(entry, str)),
    )


def _cache(read: Readings) -> model.Cache:
    adapter = read[stores.CACHE_ADAPTER]
    return model.Cache(
        adapter=adapter,
        redis_url=read[stores.REDIS_URL] if adapter == "redis" else None,
        preferences_ttl=read[stores.USER_PREFERENCES_CACHE_TTL],
    )


def _queue(read: Readings) -> model.Queue:
    concurrency = read[stores.OBAN_QUEUES]
    return model.Queue(
        concurrency=concurrency,
        calls_in_flight=concurrency.get("notifications", 20),
        prune_after=read[stores.OBAN_PRUNING_MAX_AGE],
        rescues=read[stores.OBAN_RESCUE_ATTEMPTS],
        lease=read[stores.DELIVERY_LEASE],
        doubt_grace=read[stores.IN_DOUBT_GRACE],
    )


def _jwt(read: Readings, base: Secret[str]) -> model.Jwt:
    url, own = read[security.JWT_JWKS_URL], read[security.JWT_SECRET]
    shared = Secret(own.reveal().encode()) if own else derive(base, "jwt")
    return model.Jwt(
        secret=None if url else shared,
        jwks_url=url,
        issuer=read[security.JWT_ISSUER],
        audience=read[security.JWT_AUDIENCE],
        algorithms=read.get(security.JWT_ALGORITHMS, ("RS256", "ES256") if url else ("HS256",)),
    )


def _vault(read: Readings, base: Secret[str]) -> model.Vault:
    """The derived contact key stays last behind given ones: what it sealed before they were set can still be opened.

    Its id comes from the secret, so that after a change of SECRET_KEY_BASE an old row fails as "unknown key", and the
    old derived key can be carried along under its own id.
    """
    given = read.get(security.CONTACT_KEYS, ())
    fingerprint = derive(base, "contact key id").reveal()[:4].hex()
    derived = ContactKey(f"derived-{fingerprint}", derive(base, "contact key"))
    return model.Vault(
        contact_keys=given if derived.id in {key.id for key in given} else (*given, derived),
        lookup_key=read.get(security.LOOKUP_KEY, derive(base, "lookup key")),
    )
