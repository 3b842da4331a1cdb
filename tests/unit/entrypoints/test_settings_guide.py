"""The deployment guide's own variable blocks, placeholders filled in, are a configuration that starts."""

import re
from pathlib import Path

import pytest

from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP
from fn_notifications.entrypoints.settings import Embed, Environment, Settings, SettingsError, load_settings

CORE = """\
PORT=4000
MIX_ENV=prod                        # one of three
PHX_HOST=notifications.findlynow.com
PHX_SERVER=true
SECRET_KEY_BASE=your-64-char-secret-key-base
LIVE_VIEW_SIGNING_SALT=your-32-char-salt

DATABASE_URL=postgresql://username:password@host:5432/database?sslmode=require
POOL_SIZE=10
QUEUE_TARGET=50
QUEUE_INTERVAL=5000

KAFKA_HOSTS=pkc-xyz.region.provider.confluent.cloud:9092
KAFKA_USERNAME=your-confluent-api-key
KAFKA_PASSWORD=your-confluent-api-secret
KAFKA_SSL=true
KAFKA_SASL_MECHANISM=PLAIN
KAFKA_GROUP_ID=fn-notifications-production
KAFKA_TOPICS=fn-posts.post.created,fn-posts.post.matched,fn-posts.post.claimed,fn-posts.post.resolved,fn-users.user.registered

EMAIL_ADAPTER=Swoosh.Adapters.Sendgrid
SENDGRID_API_KEY=your-sendgrid-api-key
FROM_EMAIL=notifications@findlynow.com
FROM_NAME=Findly Now

TWILIO_ACCOUNT_SID=your-twilio-account-sid
TWILIO_AUTH_TOKEN=your-twilio-auth-token
TWILIO_PHONE_NUMBER=+1234567890
TWILIO_WHATSAPP_NUMBER=+14155238886

CACHE_ADAPTER=cachex                # in memory
REDIS_URL=redis://username:password@host:6379/0
USER_PREFERENCES_CACHE_TTL=300000   # milliseconds

CIRCUIT_BREAKER_FAILURE_THRESHOLD=5
CIRCUIT_BREAKER_TIMEOUT_MS=60000
CIRCUIT_BREAKER_RESET_TIMEOUT_MS=300000

EMAIL_POOL_MAX_CONCURRENCY=10
EMAIL_POOL_TIMEOUT_MS=30000
SMS_POOL_MAX_CONCURRENCY=5
SMS_POOL_TIMEOUT_MS=15000
WHATSAPP_POOL_MAX_CONCURRENCY=5
WHATSAPP_POOL_TIMEOUT_MS=15000

OBAN_QUEUES=default:10,notifications:20,retries:5
OBAN_PRUNING_MAX_AGE=3600          # seconds
OBAN_RESCUE_ATTEMPTS=3

TELEMETRY_ENABLED=true
PROMETHEUS_METRICS_ENABLED=true
LOG_LEVEL=info                      # one of four
LOGGER_JSON=true

CORS_ORIGINS=https://app.findlynow.com,https://admin.findlynow.com
CSRF_PROTECTION=true
SECURE_COOKIES=true
"""

DEVELOPMENT = """\
PORT=4000
MIX_ENV=dev
PHX_HOST=localhost
SECRET_KEY_BASE=dev-secret-key-base-minimum-64-characters-required-for-security
DATABASE_URL=postgresql://postgres:postgres@localhost:5432/fn_notifications_dev
KAFKA_HOSTS=localhost:9092
KAFKA_SSL=false
EMAIL_ADAPTER=Swoosh.Adapters.Local
CACHE_ADAPTER=cachex
LOG_LEVEL=debug
LOGGER_JSON=false
CORS_ORIGINS=http://localhost:3000
"""

PRODUCTION = """\
PORT=4000
MIX_ENV=prod
PHX_HOST=notifications.findlynow.com
PHX_SERVER=true
SECRET_KEY_BASE=${SECRET_KEY_BASE}
DATABASE_URL=${DATABASE_URL}
KAFKA_HOSTS=${KAFKA_HOSTS}
KAFKA_USERNAME=${KAFKA_USERNAME}
KAFKA_PASSWORD=${KAFKA_PASSWORD}
SENDGRID_API_KEY=${SENDGRID_API_KEY}
TWILIO_ACCOUNT_SID=${TWILIO_ACCOUNT_SID}
TWILIO_AUTH_TOKEN=${TWILIO_AUTH_TOKEN}
LOG_LEVEL=info
LOGGER_JSON=true
"""

CONFIG_MAP = {
    "PORT": "4000",
    "MIX_ENV": "prod",
    "PHX_SERVER": "true",
    "PHX_HOST": "notifications.findlynow.com",
    "POOL_SIZE": "10",
    "QUEUE_TARGET": "50",
    "QUEUE_INTERVAL": "5000",
    "KAFKA_SSL": "true",
    "KAFKA_SASL_MECHANISM": "PLAIN",
    "KAFKA_GROUP_ID": "fn-notifications-production",
    "EMAIL_ADAPTER": "Swoosh.Adapters.Sendgrid",
    "FROM_EMAIL": "notifications@findlynow.com",
    "FROM_NAME": "Findly Now",
    "CIRCUIT_BREAKER_FAILURE_THRESHOLD": "5",
    "CIRCUIT_BREAKER_TIMEOUT_MS": "60000",
    "CIRCUIT_BREAKER_RESET_TIMEOUT_MS": "300000",
    "EMAIL_POOL_MAX_CONCURRENCY": "10",
    "EMAIL_POOL_TIMEOUT_MS": "30000",
    "SMS_POOL_MAX_CONCURRENCY": "5",
    "SMS_POOL_TIMEOUT_MS": "15000",
    "WHATSAPP_POOL_MAX_CONCURRENCY": "5",
    "WHATSAPP_POOL_TIMEOUT_MS": "15000",
    "OBAN_QUEUES": "default:10,notifications:20,retries:5",
    "OBAN_PRUNING_MAX_AGE": "3600",
    "OBAN_RESCUE_ATTEMPTS": "3",
    "TELEMETRY_ENABLED": "true",
    "PROMETHEUS_METRICS_ENABLED": "true",
    "LOG_LEVEL": "info",
    "LOGGER_JSON": "true",
    "CORS_ORIGINS": "https://app.findlynow.com,https://admin.findlynow.com",
    "CSRF_PROTECTION": "true",
    "SECURE_COOKIES": "true",
}

SECRET = {
    "SECRET_KEY_BASE": "<base64-encoded-secret-key-base>",
    "LIVE_VIEW_SIGNING_SALT": "<base64-encoded-signing-salt>",
    "DATABASE_URL": "<base64-encoded-database-url>",
    "KAFKA_HOSTS": "<base64-encoded-kafka-hosts>",
    "KAFKA_USERNAME": "<base64-encoded-kafka-username>",
    "KAFKA_PASSWORD": "<base64-encoded-kafka-password>",
    "SENDGRID_API_KEY": "<base64-encoded-sendgrid-key>",
    "TWILIO_ACCOUNT_SID": "<base64-encoded-twilio-sid>",
    "TWILIO_AUTH_TOKEN": "<base64-encoded-twilio-token>",
    "TWILIO_PHONE_NUMBER": "<base64-encoded-phone-number>",
    "TWILIO_WHATSAPP_NUMBER": "<base64-encoded-whatsapp-number>",
    "REDIS_URL": "<base64-encoded-redis-url>",
}

FILLED = {
    "SECRET_KEY_BASE": "k" * 64,
    "DATABASE_URL": "postgresql://notifier:hidden@db.example.com:5432/notifications?sslmode=require",
    "KAFKA_HOSTS": "kafka.example.com:9092",
    "KAFKA_USERNAME": "user",
    "KAFKA_PASSWORD": "pass",
    "SENDGRID_API_KEY": "SG.fake",
    "TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000000",
    "TWILIO_AUTH_TOKEN": "token",
    "TWILIO_PHONE_NUMBER": "+15005550006",
    "TWILIO_WHATSAPP_NUMBER": "+15005550009",
}
DERIVED = "CONTACT_KEYS and LOOKUP_KEY not set: derived from SECRET_KEY_BASE"


def load(block: str, folder: Path, filled: dict[str, str] | None = None) -> Settings:
    """Start from a `.env`, with `filled` in place of its placeholders."""
    lines = []
    for line in block.splitlines():
        name = line.partition("=")[0]
        lines.append(f"{name}={filled[name]}" if filled and name in filled else line)
    (folder / ".env").write_text("\n".join(lines))
    return load_settings({}, cwd=folder)


def unfilled(block: str) -> list[str]:
    """The variables of a block that hold a placeholder, but for those that are no longer read."""
    return re.findall(r"^(?!LIVE_VIEW)(\w+)=(?:your-|\+1234567890|\$\{)", block, re.MULTILINE)


def test_the_development_block_starts_unchanged(tmp_path):
    settings = load(DEVELOPMENT, tmp_path)

    assert settings.environment is Environment.DEV
    assert not settings.embedded
    assert settings.http.port == 4000
    assert settings.http.public_url == "http://localhost:4000"
    assert settings.database.url.reveal().endswith("@localhost:5432/fn_notifications_dev")
    assert settings.kafka.hosts == ("localhost:9092",)
    assert not settings.kafka.tls
    assert settings.lanes[EMAIL].adapters == ("local",)
    assert not settings.lanes[SMS].on
    assert settings.telemetry.log_level == "debug"
    assert not settings.telemetry.log_json
    assert settings.security.cors_origins == ("http://localhost:3000",)
    assert settings.cache.adapter == "memory"
    assert [warning.split(":")[0] for warning in settings.warnings] == ["sms is off", "whatsapp is off"]


def test_the_core_block_starts_once_its_placeholders_are_filled(tmp_path):
    settings = load(CORE, tmp_path, FILLED)

    assert settings.environment is Environment.PROD
    assert [lane.adapters for lane in settings.lanes.values()] == [("sendgrid",), ("twilio",), ("twilio",)]
    assert settings.cache.redis_url is None
    assert settings.cache.preferences_ttl == 300
    assert settings.lanes[EMAIL].deadline == 30
    assert settings.lanes[SMS].circuit == settings.lanes[EMAIL].circuit == settings.circuit
    assert settings.queue.calls_in_flight == 20
    assert settings.queue.prune_after == 3600
    assert settings.telemetry.log_level == "info"
    assert len(settings.kafka.topics) == 5
    assert settings.notices == ("PHX_SERVER, LIVE_VIEW_SIGNING_SALT: no longer needed",)
    assert [warning for warning in settings.warnings if warning.startswith(DERIVED)]


def test_the_production_block_starts_with_one_warning_for_each_thing_it_lacks(tmp_path):
    settings = load(PRODUCTION, tmp_path, FILLED)

    assert settings.lanes[EMAIL].adapters == ("sendgrid",)
    assert not settings.lanes[SMS].on
    assert not settings.lanes[WHATSAPP].on
    assert settings.mail.address.value == "notifications@notifications.findlynow.com"
    assert settings.kafka.tls
    assert settings.kafka.group == "fn-notifications-production"
    assert settings.http.public_url == "https://notifications.findlynow.com"
    assert settings.security.secure_cookies
    for beginning in ("sms is off", "whatsapp is off", "FROM_EMAIL is not set", DERIVED):
        assert sum(warning.startswith(beginning) for warning in settings.warnings) == 1


def test_the_config_map_and_the_secret_start_together(tmp_path):
    settings = load_settings(CONFIG_MAP | SECRET | FILLED, cwd=tmp_path)

    assert settings.environment is Environment.PROD
    assert all(lane.on for lane in settings.lanes.values())
    assert "REDIS_URL (environment) still holds the guide's placeholder and is taken as not set" in settings.warnings


@pytest.mark.parametrize(("block", "name"), [(block, name) for block in (CORE, PRODUCTION) for name in unfilled(block)])
def test_a_placeholder_left_in_production_is_named(tmp_path, block, name):
    with pytest.raises(SettingsError) as caught:
        load(block, tmp_path, {key: value for key, value in FILLED.items() if key != name})

    assert [problem.where for problem in caught.value.problems] == [f"{name} (.env)"]
    assert "placeholder" in str(caught.value)


@pytest.mark.parametrize("name", FILLED)
def test_a_placeholder_left_in_the_secret_is_named(tmp_path, name):
    with pytest.raises(SettingsError) as caught:
        load_settings(CONFIG_MAP | SECRET | FILLED | {name: SECRET[name]}, cwd=tmp_path)

    assert [problem.where for problem in caught.value.problems] == [f"{name} (environment)"]


def test_all_placeholders_left_in_production_are_named_at_once(tmp_path):
    with pytest.raises(SettingsError) as caught:
        load(CORE, tmp_path)

    assert {problem.where for problem in caught.value.problems} == {f"{name} (.env)" for name in unfilled(CORE)}


def test_outside_production_a_placeholder_counts_as_not_set(tmp_path):
    settings = load_settings({"SECRET_KEY_BASE": "your-64-char-secret-key-base"}, cwd=tmp_path)

    assert settings.embedded
    assert settings.warnings == (
        "SECRET_KEY_BASE (environment) still holds the guide's placeholder and is taken as not set",
    )


def test_the_guides_example_hosts_are_pointed_out(tmp_path):
    filled = {name: value for name, value in FILLED.items() if name not in {"DATABASE_URL", "KAFKA_HOSTS"}}

    warnings = load(CORE, tmp_path, filled).warnings

    assert "DATABASE_URL (.env) still holds the guide's example" in warnings
    assert "KAFKA_HOSTS (.env) still holds the guide's example" in warnings


def test_dev_and_demo_run_on_embedded_parts_whatever_the_guides_block_says(tmp_path):
    (tmp_path / ".env").write_text(CORE)

    settings = load_settings({"PORT": "4711", "KAFKA_SSL": "nonsense"}, cwd=tmp_path, embed=Embed.EVERYTHING)

    assert settings.environment is Environment.DEV
    assert settings.embeds_database
    assert settings.embeds_kafka
    assert settings.http.port == 4711
    assert all(lane.adapters == ("local",) for lane in settings.lanes.values())
    assert settings.sendgrid.api_key is settings.twilio.auth_token is settings.kafka.password is None
    assert "DATABASE_URL" in settings.notices[-1]
    assert settings.notices[-1].endswith("passed over, this command runs on embedded parts only")
