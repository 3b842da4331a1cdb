"""What the simulated providers do, chosen by the address: the tables are the documentation.

An email's local part is a word, optionally with `-once` (only the first message to that address meets it) and `+n`
(a 429 asks to wait n seconds): `ratelimited-once+30@example.com`. Phone numbers 0001 to 0009 are Twilio's own magic
numbers; in the others the last three digits are the HTTP status or stand for a group, and a 1 before them means once.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from attrs import define, evolve, field, frozen


class Act(Enum):
    """How the answer comes, or does not."""

    ANSWER = auto()
    SLOW = auto()
    """After a pause."""
    DRIBBLE = auto()
    """Byte by byte, without end."""
    HANG = auto()
    """Never."""
    RESET_BEFORE = auto()
    """The connection breaks before anything was accepted."""
    RESET_AFTER = auto()
    """It breaks after the message was accepted."""


@frozen(kw_only=True)
class Behaviour:
    """What becomes of one message. Without a `status` it is accepted, and `reports` follow."""

    what: str
    """For people."""
    act: Act = Act.ANSWER
    status: int | None = None
    """The HTTP status it is refused with."""
    code: int | None = None
    """Twilio's code of the refusal."""
    field: str | None = None
    """The field SendGrid finds fault with."""
    wait: int | None = None
    """Seconds a 429 or 503 asks to wait."""
    reports: tuple[str, ...] | None = None
    """The reports that follow acceptance; None for the channel's usual ones."""
    once: bool = False

    @property
    def taken(self) -> bool:
        """Whether the provider accepts the message."""
        return self.status is None and self.act is not Act.RESET_BEFORE


ACCEPTED: Final = Behaviour(what="accepted, then reported as delivered")

_WIRE: Final[Mapping[str, Behaviour]] = MappingProxyType(
    {
        "unauthorised": Behaviour(what="401: the credentials are wrong", status=401, code=20003),
        "ratelimited": Behaviour(what="429, asking to wait a second", status=429, code=20429, wait=1),
        "throttled": Behaviour(what="429, without saying how long", status=429, code=20429),
        "error500": Behaviour(what="500, nothing accepted", status=500, code=20500),
        "error502": Behaviour(what="502 from a proxy", status=502),
        "unavailable": Behaviour(what="503", status=503),
        "error504": Behaviour(what="504 from a proxy", status=504),
        "strange": Behaviour(what="418 with two megabytes of HTML", status=418),
        "slow": Behaviour(what="accepted, answered late", act=Act.SLOW),
        "dribble": Behaviour(what="accepted, answered byte by byte without end", act=Act.DRIBBLE),
        "hang": Behaviour(what="accepted, never answered", act=Act.HANG),
        "reset-before": Behaviour(what="the connection breaks, nothing accepted", act=Act.RESET_BEFORE),
        "reset-after": Behaviour(what="accepted, then the connection breaks", act=Act.RESET_AFTER),
        "silent": Behaviour(what="accepted, never reported on", reports=()),
    }
)

EMAILS: Final[Mapping[str, Behaviour]] = MappingProxyType(
    {
        **_WIRE,
        "reject": Behaviour(what="400: bad recipient", status=400, field="personalizations.0.to.0.email"),
        "reject-content": Behaviour(what="400: bad content", status=400, field="content.0.value"),
        "forbidden": Behaviour(what="403: unverified sender", status=403, field="from"),
        "toolarge": Behaviour(what="413", status=413),
        "defer": Behaviour(what="deferred, then delivered", reports=("processed", "deferred", "delivered")),
        "bounce": Behaviour(what="bounces for good", reports=("processed", "bounce")),
        "block": Behaviour(what="blocked for now", reports=("processed", "blocked")),
        "drop": Behaviour(what="dropped: bounced before", reports=("dropped",)),
        "drop-spam": Behaviour(what="dropped: reported spam before", reports=("dropped_spam",)),
        "drop-unsubscribed": Behaviour(what="dropped: unsubscribed before", reports=("dropped_unsubscribed",)),
        "spam": Behaviour(what="delivered, then reported as spam", reports=("processed", "delivered", "spamreport")),
        "unsubscribe": Behaviour(
            what="delivered, then unsubscribed", reports=("processed", "delivered", "unsubscribe")
        ),
        "open": Behaviour(what="delivered, opened, clicked", reports=("processed", "delivered", "open", "click")),
    }
)
"""By the local part of an email address."""

_NUMBERED_WIRE: Final = {
    "401": "unauthorised",
    "429": "ratelimited",
    "430": "throttled",
    "500": "error500",
    "502": "error502",
    "503": "unavailable",
    "504": "error504",
    "418": "strange",
    "600": "hang",
    "601": "reset-before",
    "602": "reset-after",
    "603": "slow",
    "604": "dribble",
    "605": "silent",
}

PHONES: Final[Mapping[str, Behaviour]] = MappingProxyType(
    {
        "+15005550001": Behaviour(what="21211: not a number", status=400, code=21211),
        "+15005550002": Behaviour(what="21612: no route", status=400, code=21612),
        "+15005550003": Behaviour(what="21408: country not enabled", status=400, code=21408),
        "+15005550004": Behaviour(what="21610: replied STOP", status=400, code=21610),
        "+15005550007": Behaviour(what="21606: sender cannot", status=400, code=21606),
        "+15005550008": Behaviour(what="21611: sender's queue is full", status=429, code=21611),
        "+15005550009": Behaviour(what="21614: not a mobile", status=400, code=21614),
        **{f"+15005550{digits}": _WIRE[word] for digits, word in _NUMBERED_WIRE.items()},
        **{f"+15005551{digits}": evolve(_WIRE[word], once=True) for digits, word in _NUMBERED_WIRE.items()},
        "+15005550703": Behaviour(what="30003: unreachable handset", reports=("sent", "undelivered:30003")),
        "+15005550705": Behaviour(what="30005: unknown handset", reports=("sent", "undelivered:30005")),
        "+15005550707": Behaviour(what="30007: filtered by the carrier", reports=("sent", "undelivered:30007")),
        "+15005550710": Behaviour(what="21610 in a report: replied STOP", reports=("failed:21610",)),
        "+15005550714": Behaviour(what="63014: blocked by the person", reports=("failed:63014",)),
        "+15005550716": Behaviour(what="63016: outside the 24 h window", reports=("failed:63016",)),
    }
)
"""By the phone number."""

_LOCAL_PART: Final = re.compile(r"(?P<word>[a-z0-9-]+?)(?P<once>-once)?(?:\+(?P<wait>[0-9]{1,4}))?")
_REMEMBERED: Final = 10_000


@define
class Choice:
    """Chooses by address, and remembers who met a `once` already (the last 10,000)."""

    _met: OrderedDict[str, None] = field(factory=OrderedDict, init=False)

    def of(self, address: str) -> Behaviour:
        """What is to become of a message to this address now."""
        behaviour = PHONES.get(address, ACCEPTED) if address.startswith("+") else _email(address)
        if not behaviour.once:
            return behaviour
        if address in self._met:
            return ACCEPTED
        self._met[address] = None
        if len(self._met) > _REMEMBERED:
            self._met.popitem(last=False)
        return behaviour


def _email(address: str) -> Behaviour:
    match = _LOCAL_PART.fullmatch(address.rpartition("@")[0])
    behaviour = EMAILS.get(match["word"]) if match else None
    if match is None or behaviour is None:
        return ACCEPTED
    wait = int(match["wait"]) if match["wait"] and behaviour.status == 429 else behaviour.wait
    return evolve(behaviour, once=bool(match["once"]), wait=wait)
