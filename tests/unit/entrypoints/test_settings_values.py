"""What a configuration that works comes to: values that follow from others, keys, warnings."""

from base64 import b64encode
from pathlib import Path

import pytest

from fn_notifications.domain.address import EmailAddress, PhoneNumber
from fn_notifications.entrypoints.parts import policy_of
from fn_notifications.entrypoints.settings import Settings, load_settings

NOWHERE = Path("/nonexistent")
KEY = b64encode(bytes(range(32))).decode()
STORES = {"DATABASE_URL": "postgresql://db.example.com/n", "KAFKA_HOSTS": "kafka.example.com:9092"}
PROD = STORES | {"ENVIRONMENT": "prod", "PUBLIC_HOST": "n.example.com", "SECRET_KEY_BASE": "k" * 32}
SENDGRID = {"SENDGRID_API_KEY": "SG.fake"}
TWILIO = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t"}
ALLOWED = {"RECIPIENT_ALLOWLIST": "example.com"}


def load(environ: dict[str, str]) -> Settings:
    return load_settings(environ, cwd=NOWHERE)


def test_the_allowlist_permits_those_it_lists_and_whole_domains():
    allowlist = load({"RECIPIENT_ALLOWLIST": "@Example.com, Ann@example.org, +15005550006"}).allowlist

    assert allowlist.permits(EmailAddress("anybody@example.com"))
    assert allowlist.permits(EmailAddress("ann@example.org"))
    assert allowlist.permits(PhoneNumber("+15005550006"))
    assert not allowlist.permits(EmailAddress("bob@example.org"))
    assert not allowlist.permits(EmailAddress("anybody@sub.example.com"))
    assert not allowlist.permits(PhoneNumber("+15005550007"))


def test_circuits_take_the_channels_own_value_then_the_general_one_then_the_channels_default():
    plain = load({}).lanes
    general = load({"CIRCUIT_BREAKER_FAILURE_THRESHOLD": "7", "CIRCUIT_BREAKER_RESET_TIMEOUT_MS": "1000"}).lanes
    own = load({"CIRCUIT_BREAKER_FAILURE_THRESHOLD": "7", "SMS_CIRCUIT_BREAKER_FAILURE_THRESHOLD": "2"}).lanes

    assert [(lane.circuit.failures, lane.circuit.reset) for lane in plain.values()] == [(5, 300), (3, 600), (3, 600)]
    assert {(lane.circuit.failures, lane.circuit.reset) for lane in general.values()} == {(7, 1)}
    assert [lane.circuit.failures for lane in own.values()] == [7, 2, 7]
    assert load({}).circuit == plain["email"].circuit


def test_production_with_its_own_keys_is_not_warned_about_derived_ones():
    settings = load(PROD | {"CONTACT_KEYS": f"b:{KEY}", "LOOKUP_KEY": KEY})

    assert not [warning for warning in settings.warnings if "derived" in warning]
    assert settings.vault.contact_keys[0].id == "b"
    assert settings.vault.lookup_key.reveal() == bytes(range(32))


def test_what_derived_keys_sealed_can_still_be_opened_after_own_keys_are_set():
    before = load(PROD).vault
    after = load(PROD | {"CONTACT_KEYS": f"b:{KEY}", "LOOKUP_KEY": KEY}).vault

    assert [key.id for key in after.contact_keys] == ["b", before.contact_keys[0].id]
    assert after.contact_keys[-1] == before.contact_keys[0]
    assert after.lookup_key != before.lookup_key


def test_a_derived_key_that_is_spelt_out_is_not_added_again():
    derived = load(PROD).vault.contact_keys[0]
    spelt = f"b:{KEY},{derived.id}:{b64encode(derived.key.reveal()).decode()}"

    assert load(PROD | {"CONTACT_KEYS": spelt}).vault.contact_keys[1:] == (derived,)


def test_every_purpose_has_a_key_of_its_own():
    settings = load(PROD)
    keys = {
        settings.security.session_key.reveal(),
        settings.security.link_key.reveal(),
        settings.jwt.secret.reveal(),
        settings.vault.lookup_key.reveal(),
        settings.vault.contact_keys[0].key.reveal(),
        PROD["SECRET_KEY_BASE"].encode(),
    }

    assert len(keys) == 6
    assert all(len(key) == 32 for key in keys)
    assert load(PROD | {"SECRET_KEY_BASE": "j" * 32}).vault.contact_keys[0].id != settings.vault.contact_keys[0].id


def test_published_keys_leave_no_shared_secret():
    jwt = load(STORES | {"JWT_JWKS_URL": "https://id.example.com/keys?p=x", "JWT_SECRET": "s"}).jwt

    assert jwt.secret is None
    assert jwt.algorithms == ("RS256", "ES256")


def test_a_tokens_algorithms_may_be_chosen_within_their_family():
    published = {"JWT_JWKS_URL": "https://id.example.com/keys", "JWT_ALGORITHMS": "es512,RS512"}

    assert load(STORES | published).jwt.algorithms == ("ES512", "RS512")
    assert load(STORES | {"JWT_ALGORITHMS": "HS256"}).jwt.algorithms == ("HS256",)


def test_what_is_not_read_may_hold_anything():
    idle = {
        "PHX_SERVER": "${PHX_SERVER}",
        "LIVE_VIEW_SIGNING_SALT": "your-32-char-salt",
        "MAILGUN_DOMAIN": "your-domain",
    }

    assert load(PROD | idle).notices == (
        "MAILGUN_DOMAIN: not read by this version",
        "PHX_SERVER, LIVE_VIEW_SIGNING_SALT: no longer needed",
    )


def test_no_address_shows_in_the_settings():
    addresses = {
        "FROM_EMAIL": "from@shown.example.com",
        "REPLY_TO_EMAIL": "reply@shown.example.com",
        "TWILIO_PHONE_NUMBER": "+15005550006",
        "TWILIO_WHATSAPP_NUMBER": "whatsapp:+15005550006",
        "RECIPIENT_ALLOWLIST": "to@shown.example.com,shown.example.com,+15005550006",
    }

    shown = repr(load(STORES | TWILIO | addresses))

    assert "shown" not in shown
    assert "5005550006" not in shown


def test_a_production_that_lacks_nothing_has_no_warnings():
    complete = {
        "CONTACT_KEYS": f"b:{KEY}",
        "LOOKUP_KEY": KEY,
        "FROM_EMAIL": "from@example.com",
        "SENDGRID_WEBHOOK_PUBLIC_KEY": KEY,
        "TWILIO_PHONE_NUMBER": "+15005550006",
        "TWILIO_WHATSAPP_NUMBER": "+15005550009",
        "KAFKA_USERNAME": "u",
        "KAFKA_PASSWORD": "p",
        "JWT_JWKS_URL": "https://id.example.com/keys",
        "JWT_ISSUER": "https://id.example.com",
        "JWT_AUDIENCE": "fn-notifications",
    }

    settings = load(PROD | SENDGRID | TWILIO | complete)

    assert settings.warnings == settings.notices == ()
    assert settings.kafka.tls


@pytest.mark.parametrize(
    ("environ", "beginning"),
    [
        (PROD | SENDGRID | ALLOWED, "RECIPIENT_ALLOWLIST (environment) is set in production"),
        (PROD | SENDGRID, "SENDGRID_WEBHOOK_PUBLIC_KEY is not set"),
        (
            PROD | SENDGRID | {"SENDGRID_BASE_URL": "http://[::1]:1"},
            "SENDGRID_BASE_URL (environment) leads to this machine",
        ),
        (PROD | {"SECURE_COOKIES": "no"}, "SECURE_COOKIES (environment) is false"),
        (PROD | {"CSRF_PROTECTION": "0"}, "CSRF_PROTECTION (environment) is false"),
        (
            STORES | {"KAFKA_API_KEY": "u", "KAFKA_API_SECRET": "p", "KAFKA_SSL": "false"},
            "KAFKA_SSL (environment) is false: Kafka's password",
        ),
        (STORES | {"JWT_JWKS_URL": "https://id.example.com/keys"}, "JWT_ISSUER and JWT_AUDIENCE not set"),
        (
            STORES | {"JWT_JWKS_URL": "https://id.example.com/keys", "JWT_SECRET": "s"},
            "JWT_SECRET (environment) is not used",
        ),
    ],
)
def test_what_works_otherwise_than_meant_is_warned_about_once(environ, beginning):
    assert sum(warning.startswith(beginning) for warning in load(environ).warnings) == 1


def test_leases_and_graces_can_be_shortened_to_seconds():
    plain, short = load({}).queue, load({"DELIVERY_LEASE": "40s", "IN_DOUBT_GRACE": "5"}).queue

    assert (plain.lease, plain.doubt_grace) == (120, None)
    assert (short.lease, short.doubt_grace) == (40, 5)
    graces = [
        {channel: rules.grace.total_seconds() for channel, rules in policy_of(load(environ)).channels.items()}
        for environ in ({}, {"IN_DOUBT_GRACE": "5"})
    ]
    assert graces == [{"email": 3600, "sms": 900, "whatsapp": 900}, {"email": 5, "sms": 5, "whatsapp": 5}]
