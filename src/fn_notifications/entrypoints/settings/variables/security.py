"""Secrets the service holds itself, and who it believes."""

from typing import Final

from fn_notifications.entrypoints.settings.kinds import anything, listing, one_of, password, text
from fn_notifications.entrypoints.settings.locators import contact_keys, lookup_key, web_url
from fn_notifications.entrypoints.settings.variable import Section, optional

_ALGORITHMS: Final = ("HS256", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512")

SECRET_KEY_BASE: Final = optional(
    "SECRET_KEY_BASE",
    password,
    "a well-known one outside production; required in production, 32 bytes or more",
    Section.SECURITY,
    "What sessions, unsubscribe links and, without JWKS, JWTs are signed with, each by a key of its own.",
    secret=True,
)
CONTACT_KEYS: Final = optional(
    "CONTACT_KEYS",
    contact_keys,
    "derived from SECRET_KEY_BASE",
    Section.SECURITY,
    "What addresses and message variables are sealed with: the first seals, all of them open, the derived one too.",
    secret=True,
)
LOOKUP_KEY: Final = optional(
    "LOOKUP_KEY",
    lookup_key,
    "derived from SECRET_KEY_BASE",
    Section.SECURITY,
    "What the keyed hashes of addresses are made with. Under another key, suppressions are not found again.",
    secret=True,
)

JWT_SECRET: Final = optional(
    "JWT_SECRET",
    password,
    "derived from SECRET_KEY_BASE",
    Section.IDENTITY,
    "What HS256 tokens are signed with; 32 bytes or more in production.",
    secret=True,
)
JWT_JWKS_URL: Final = optional(
    "JWT_JWKS_URL",
    web_url,
    "tokens are signed with JWT_SECRET",
    Section.IDENTITY,
    "Where the identity provider publishes its keys.",
    outside=True,
)
JWT_ISSUER: Final = optional(
    "JWT_ISSUER",
    text,
    "not checked; required with JWT_JWKS_URL in production",
    Section.IDENTITY,
    "The `iss` a token must have.",
    outside=True,
)
JWT_AUDIENCE: Final = optional(
    "JWT_AUDIENCE",
    text,
    "not checked; required with JWT_JWKS_URL in production",
    Section.IDENTITY,
    "The `aud` a token must have.",
    outside=True,
)
JWT_ALGORITHMS: Final = optional(
    "JWT_ALGORITHMS",
    listing(one_of({name.lower(): name for name in _ALGORITHMS}, f"one of {', '.join(_ALGORITHMS)}")),
    "RS256,ES256 with JWT_JWKS_URL, else HS256",
    Section.IDENTITY,
    "The algorithms a token may be signed with.",
    outside=True,
)

LATER: Final = tuple(
    optional(name, anything, "not read yet", Section.LATER, meaning, secret=secret, outside=True, spare=True)
    for name, meaning, secret in (
        ("MAILGUN_API_KEY", "Mailgun's key.", True),
        ("MAILGUN_DOMAIN", "The domain Mailgun sends for.", False),
        ("MAILGUN_REGION", "Mailgun's region.", False),
        ("MAILGUN_WEBHOOK_SIGNING_KEY", "What Mailgun's reports are verified with.", True),
        ("SES_CONFIGURATION_SET", "The configuration set SES sends under.", False),
        ("SES_SNS_TOPIC_ARNS", "The SNS topics SES reports to.", False),
    )
)
