"""Combinations that cannot work are refused, each naming what to mend."""

from base64 import b64encode
from pathlib import Path

import pytest

from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP
from fn_notifications.entrypoints.settings import Embed, Role, Settings, SettingsError, load_settings

NOWHERE = Path("/nonexistent")
KEY = b64encode(bytes(range(32))).decode()
STORES = {"DATABASE_URL": "postgresql://db.example.com/n", "KAFKA_HOSTS": "kafka.example.com:9092"}
PROD = STORES | {"ENVIRONMENT": "prod", "PUBLIC_HOST": "n.example.com", "SECRET_KEY_BASE": "k" * 32}
SENDGRID = {"SENDGRID_API_KEY": "SG.fake"}
TWILIO = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t"}
ALLOWED = {"RECIPIENT_ALLOWLIST": "example.com"}


def load(environ: dict[str, str], embed: Embed = Embed.WHEN_EMPTY) -> Settings:
    return load_settings(environ, cwd=NOWHERE, embed=embed)


def problems(environ: dict[str, str], embed: Embed = Embed.WHEN_EMPTY) -> dict[str, str]:
    """What is wrong, by the variable's name without its place."""
    with pytest.raises(SettingsError) as caught:
        load(environ, embed)
    return {problem.where.partition(" (")[0]: problem.what for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        pytest.param(STORES | {"KAFKA_USERNAME": "u"}, {"KAFKA_PASSWORD or KAFKA_API_SECRET"}, id="sasl user alone"),
        pytest.param(STORES | {"KAFKA_API_SECRET": "p"}, {"KAFKA_USERNAME or KAFKA_API_KEY"}, id="sasl secret alone"),
        pytest.param(STORES | {"CACHE_ADAPTER": "redis"}, {"REDIS_URL"}, id="redis without a url"),
        pytest.param(
            STORES | {"KAFKA_PROPERTIES": "acks=0,client.rack=a"}, {"KAFKA_PROPERTIES"}, id="a fixed property"
        ),
        pytest.param(
            STORES | ALLOWED | {"EMAIL_ADAPTER": "sendgrid"}, {"SENDGRID_API_KEY"}, id="sendgrid without a key"
        ),
        pytest.param(STORES | ALLOWED | {"TWILIO_AUTH_TOKEN": "t"}, {"TWILIO_ACCOUNT_SID"}, id="token without sid"),
        pytest.param(STORES | ALLOWED | {"TWILIO_ACCOUNT_SID": "AC1"}, {"TWILIO_AUTH_TOKEN"}, id="sid without token"),
        pytest.param(
            STORES | ALLOWED | {"SMS_ADAPTER": "twilio"},
            {"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER"},
            id="sms by a twilio nobody described",
        ),
        pytest.param(
            STORES | ALLOWED | TWILIO | {"WHATSAPP_ADAPTER": "twilio"},
            {"TWILIO_WHATSAPP_NUMBER"},
            id="whatsapp without its number",
        ),
        pytest.param(STORES | SENDGRID, {"RECIPIENT_ALLOWLIST"}, id="a real provider writes to anybody"),
        pytest.param(
            STORES | TWILIO | {"TWILIO_PHONE_NUMBER": "+15005550006"}, {"RECIPIENT_ALLOWLIST"}, id="so does twilio"
        ),
        pytest.param(
            STORES | {"EMAIL_ADAPTER": "local", "DELIVERY_LEASE": "30"},
            {"EMAIL_POOL_TIMEOUT_MS"},
            id="a call that may outlive its lease",
        ),
        pytest.param(
            STORES | {"JWT_ALGORITHMS": "RS256"}, {"JWT_ALGORITHMS"}, id="public algorithms without published keys"
        ),
        pytest.param(
            STORES | {"JWT_ALGORITHMS": "RS256,HS256", "JWT_JWKS_URL": "https://id.example.com/keys"},
            {"JWT_ALGORITHMS"},
            id="a shared algorithm among published keys",
        ),
        pytest.param(
            STORES | {"JWT_ALGORITHMS": "HS256", "JWT_JWKS_URL": "https://id.example.com/keys"},
            {"JWT_ALGORITHMS"},
            id="a shared algorithm with published keys",
        ),
        pytest.param(
            {"DATABASE_URL": STORES["DATABASE_URL"]}, {"KAFKA_HOSTS or KAFKA_BOOTSTRAP_SERVERS"}, id="no broker"
        ),
        pytest.param({"KAFKA_HOSTS": "localhost:9092"}, {"DATABASE_URL"}, id="no database"),
        pytest.param(
            {"KAFKA_TOPICS": "a"}, {"DATABASE_URL", "KAFKA_HOSTS or KAFKA_BOOTSTRAP_SERVERS"}, id="half a kafka"
        ),
        pytest.param(PROD | {"SECRET_KEY_BASE": "k" * 31}, {"SECRET_KEY_BASE"}, id="a short secret"),
        pytest.param(
            PROD | {"SECRET_KEY_BASE": "dev-secret-key-base-minimum-64-characters-required-for-security"},
            {"SECRET_KEY_BASE"},
            id="the guide's development secret",
        ),
        pytest.param(
            PROD | {"SECRET_KEY_BASE": "fn-notifications: known to everybody, for development only"},
            {"SECRET_KEY_BASE"},
            id="our development secret",
        ),
        pytest.param(
            PROD | {"SECRET_KEY_BASE": " "}, {"SECRET_KEY_BASE", "CONTACT_KEYS", "LOOKUP_KEY"}, id="no secret at all"
        ),
        pytest.param(
            PROD | {"SECRET_KEY_BASE": "", "CONTACT_KEYS": f"a:{KEY}"},
            {"SECRET_KEY_BASE", "LOOKUP_KEY"},
            id="half the keys",
        ),
        pytest.param(PROD | {"JWT_SECRET": "short"}, {"JWT_SECRET"}, id="a short jwt secret"),
        pytest.param(PROD | {"PHX_HOST": "", "PUBLIC_HOST": ""}, {"PUBLIC_HOST or PHX_HOST"}, id="links to nowhere"),
        pytest.param(
            PROD | SENDGRID | {"PUBLIC_HOST": "192.0.2.7"}, {"FROM_EMAIL"}, id="mail cannot come from an ip address"
        ),
        pytest.param(PROD | {"EMAIL_ADAPTER": "local"}, {"EMAIL_ADAPTER"}, id="mail to nobody in production"),
        pytest.param(
            PROD | SENDGRID | {"EMAIL_ADAPTER": "sendgrid,local"},
            {"EMAIL_ADAPTER"},
            id="failover to nobody in production",
        ),
        pytest.param(
            PROD | {"JWT_JWKS_URL": "https://id.example.com/keys"},
            {"JWT_ISSUER", "JWT_AUDIENCE"},
            id="anybody's tokens in production",
        ),
    ],
)
def test_a_combination_that_cannot_work_names_every_variable_to_mend(environ, named):
    assert set(problems(environ)) == named


@pytest.mark.parametrize("embed", list(Embed)[:2])
def test_production_refuses_embedded_parts_naming_what_is_missing(embed):
    found = problems({"ENVIRONMENT": "prod"}, embed)

    assert "production embeds nothing" in found["DATABASE_URL"]
    assert "production embeds nothing" in found["KAFKA_HOSTS or KAFKA_BOOTSTRAP_SERVERS"]


def test_nothing_set_is_the_embedded_default():
    settings = load({"PATH": "/bin", "OTEL_SERVICE_NAME": "n"})

    assert settings.embeds_database
    assert settings.embeds_kafka
    assert all(lane.adapters == ("local",) for lane in settings.lanes.values())
    assert settings.warnings == settings.notices == ()
    assert settings.roles == frozenset(Role)
    assert settings.state_dir == NOWHERE / ".fn-notifications"


def test_beside_a_configured_part_the_missing_ones_are_embedded_when_asked_for():
    settings = load({"DATABASE_URL": STORES["DATABASE_URL"]} | ALLOWED | SENDGRID, Embed.MISSING)

    assert not settings.embeds_database
    assert settings.embeds_kafka
    assert settings.lanes[EMAIL].adapters == ("sendgrid",)
    assert settings.lanes[SMS].adapters == ("local",)


def test_the_flag_changes_nothing_in_a_complete_production():
    settings = load(PROD | SENDGRID, Embed.MISSING)

    assert not settings.embedded
    assert settings.lanes[SMS].adapters == ()


def test_a_process_without_intake_and_relay_needs_no_broker():
    settings = load({"DATABASE_URL": STORES["DATABASE_URL"], "ROLE": "http,dispatch"})

    assert settings.kafka.hosts == ()
    assert not settings.embeds_kafka


@pytest.mark.parametrize("name", ["mailgun", "Swoosh.Adapters.AmazonSES", "smtp"])
def test_an_adapter_of_a_later_version_is_refused_as_such(name):
    assert (
        "is not available in this version; expected local or sendgrid"
        in problems(STORES | ALLOWED | {"EMAIL_ADAPTER": name})["EMAIL_ADAPTER"]
    )


def test_production_does_not_advise_the_local_mailbox():
    assert problems(PROD | {"SMS_ADAPTER": "local"})["SMS_ADAPTER"].endswith(
        "; expected twilio, or several in order of failover"
    )


def test_an_unknown_adapter_is_answered_with_the_nearest_name():
    assert problems(STORES | {"EMAIL_ADAPTER": "Sendgird"}) == {
        "EMAIL_ADAPTER": "expected local or sendgrid, or several in order of failover; did you mean sendgrid?"
    }


def test_somebody_elses_adapter_is_known_when_it_is_registered():
    available = {EMAIL: {"pigeon", "local"}, SMS: {"local"}, WHATSAPP: {"local"}}
    environ = STORES | ALLOWED | {"EMAIL_ADAPTER": "pigeon,local"}

    assert load_settings(environ, cwd=NOWHERE, adapters=available).lanes[EMAIL].adapters == ("pigeon", "local")
    with pytest.raises(SettingsError, match="pigeon may write only"):
        load_settings(environ | {"RECIPIENT_ALLOWLIST": ""}, cwd=NOWHERE, adapters=available)


def test_a_simulator_on_this_machine_is_no_real_provider():
    settings = load(STORES | SENDGRID | {"SENDGRID_BASE_URL": "http://127.0.0.1:8025"})

    assert settings.lanes[EMAIL].adapters == ("sendgrid",)
    assert settings.allowlist is None


@pytest.mark.parametrize(
    "url", ["http://api.example.com", "https://u:p@api.example.com", "http://localhost@evil.example.com"]
)
def test_a_base_url_is_https_unless_it_stays_on_this_machine(url):
    assert set(problems(STORES | ALLOWED | {"TWILIO_BASE_URL": url})) == {"TWILIO_BASE_URL"}


def test_an_environment_that_was_never_filled_in_is_not_taken_for_development():
    assert set(problems({"MIX_ENV": "${MIX_ENV}"})) == {"MIX_ENV"}


def test_whatsapp_may_go_by_the_messaging_service_when_asked_to():
    service = TWILIO | {"TWILIO_MESSAGING_SERVICE_SID": "MG1"}

    assert [lane.on for lane in load(PROD | service).lanes.values()] == [False, True, False]
    assert load(PROD | service | {"WHATSAPP_ADAPTER": "twilio"}).lanes[WHATSAPP].on


def test_an_unreadable_environment_requires_nothing_for_its_sake():
    assert set(problems(STORES | SENDGRID | {"MIX_ENV": "staging"})) == {"MIX_ENV"}
