"""How text becomes a place or a person: URLs, hosts, addresses, and the keys that seal them."""

import re
from base64 import b64decode
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from attrs import frozen

from fn_notifications.domain.address import EmailAddress, PhoneNumber
from fn_notifications.domain.errors import InvalidValue
from fn_notifications.entrypoints.settings.kinds import Kind
from fn_notifications.entrypoints.settings.secret import Secret

_HOST_PORT: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?|\[(?P<ip>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?"
)
_SSL_MODES: Final = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})
_AES_256: Final = 32


@frozen
class ContactKey:
    """A key that seals addresses and variables; its id is stored beside what it sealed."""

    id: str
    key: Secret[bytes]


Recipient = EmailAddress | PhoneNumber | str
"""Somebody, or by a bare domain everybody at it."""


def is_loopback(url: str) -> bool:
    """Whether a URL leads no further than this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def sender_at(host: str) -> EmailAddress | None:
    """notifications@ the host, or None where mail knows no such domain: localhost, an IP address."""
    try:
        return EmailAddress(f"notifications@{host.partition(':')[0]}")
    except InvalidValue:
        return None


def _split(text: str, *schemes: str) -> SplitResult:
    """A URL of one of the schemes, without a fragment.

    Spaces, controls and backslashes are refused first: `urlsplit` drops some of them in silence, and a reader that
    sees another host than the connection does is how a check is passed by.
    """
    if not re.fullmatch(r"[!-\[\]-~]+", text):
        raise ValueError
    parts = urlsplit(text)
    if parts.scheme not in schemes or parts.fragment:
        raise ValueError
    return parts


def _host_port(text: str) -> str:
    match = _HOST_PORT.fullmatch(text)
    if match is None or not 0 < int(match["port"] or 1) < 65536:
        raise ValueError
    if match["ip"]:
        ip_address(match["ip"])
    return text.lower()


def _read_postgres(text: str) -> Secret[str]:
    parts = _split(text, "postgres", "postgresql")
    query = parse_qs(parts.query, strict_parsing=bool(parts.query))
    hosts = parts.netloc.rpartition("@")[2]
    if "@" in parts.path:  # a / in the password, not percent-encoded, ended the host too early
        raise ValueError
    if hosts or "host" not in query:  # libpq takes several hosts, or a socket's folder as ?host=
        for host in hosts.split(","):
            _host_port(host)
    if not set(query.get("sslmode", ())) <= _SSL_MODES:
        raise ValueError
    return Secret(text)


def _read_redis(text: str) -> Secret[str]:
    parts = _split(text, "redis", "rediss")
    _host_port(parts.netloc.rpartition("@")[2])
    if not re.fullmatch(r"(?:/[0-9]{0,3})?", parts.path):
        raise ValueError
    return Secret(text)


def _read_web(text: str) -> str:
    parts = _split(text, "https", "http")
    _host_port(parts.netloc)  # which refuses credentials as well
    if parts.scheme == "http" and not is_loopback(text):
        raise ValueError
    return text.rstrip("/")


def _read_base(text: str) -> str:
    if "?" in text:
        raise ValueError
    return _read_web(text)


def _read_origin(text: str) -> str:
    parts = _split(text, "https", "http")
    if parts.path.strip("/") or parts.query:
        raise ValueError
    return f"{parts.scheme}://{_host_port(parts.netloc)}"


def _read_broker(text: str) -> str:
    if not re.search(r":[0-9]+$", text):
        raise ValueError
    return _host_port(text)


def _read_email(text: str) -> EmailAddress:
    local, _, domain = text.rpartition("@")
    return EmailAddress(f"{local}@{domain.lower()}")


def _read_recipient(text: str) -> Recipient:
    if text.startswith("+"):
        return PhoneNumber(text)
    if text.rpartition("@")[0]:
        return _read_email(text)
    return _read_email(f"anybody@{text.removeprefix('@')}").domain


def _read_key(text: str) -> Secret[bytes]:
    standard = text.translate(str.maketrans("-_", "+/")).rstrip("=")
    key = b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    if len(key) != _AES_256:
        raise ValueError
    return Secret(key)


def _read_keys(text: str) -> tuple[ContactKey, ...]:
    pairs = [re.fullmatch(r"\s*([A-Za-z0-9._-]{1,32}):([A-Za-z0-9+/_-]+={0,2})\s*", part) for part in text.split(",")]
    keys = tuple(ContactKey(pair[1], _read_key(pair[2])) for pair in pairs if pair)
    if len({key.id for key in keys}) != len(pairs):
        raise ValueError
    return keys


postgres_url: Final = Kind(
    "postgresql://user:password@host:5432/database?sslmode=require, special characters percent-encoded",
    _read_postgres,
)
redis_url: Final = Kind("redis:// or rediss://user:password@host:6379/0", _read_redis)
web_url: Final = Kind("an https URL without credentials (http only to this machine)", _read_web)
base_url: Final = Kind("an https URL without credentials or query (http only to this machine)", _read_base)
origin: Final = Kind("an origin such as https://app.example.com, without a path", _read_origin)
public_host: Final = Kind("a host name such as notifications.example.com, without a scheme", _host_port)
bind_address: Final = Kind("an IP address", lambda text: str(ip_address(text)))
broker: Final = Kind("host:port", _read_broker)
email: Final = Kind("an email address with an ASCII domain", _read_email)
phone: Final = Kind("a number in E.164: + and 7 to 15 digits", PhoneNumber)
whatsapp: Final = Kind(
    "a number in E.164: + and 7 to 15 digits", lambda text: PhoneNumber(text.removeprefix("whatsapp:"))
)
recipient: Final[Kind[Recipient]] = Kind("an email address, a domain or a number in E.164", _read_recipient)
contact_keys: Final = Kind(
    "id:key pairs between commas, newest first, each key 32 random bytes in base64 (openssl rand -base64 32)",
    _read_keys,
)
lookup_key: Final = Kind("32 random bytes in base64 (openssl rand -base64 32)", _read_key)
