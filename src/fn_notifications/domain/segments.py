"""What a text costs as an SMS: its encoding and the number of segments (3GPP TS 23.038 §6.2, TS 23.040 §9.2.3.24)."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from attrs import frozen

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
"""Two septets each: an escape and a character."""

_EQUALS: Final = (
    ("'", "\u2018\u2019\u201a\u2032`"),
    ('"', "\u201c\u201d\u201e\u2033\u00ab\u00bb"),
    ("-", "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2022"),
    ("...", "\u2026"),
    (" ", "\t\u00a0\u2002\u2003\u2007\u2009\u200a\u202f"),
    ("", "\u00ad\u200b\u2060\ufeff"),
)
_TYPOGRAPHIC: Final = {ord(char): equal for equal, chars in _EQUALS for char in chars}


class Encoding(StrEnum):
    """How the text goes over the air."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


@frozen(kw_only=True)
class Cost:
    """Units are septets (GSM-7) or 16-bit code units (UCS-2); a provider bills segments."""

    encoding: Encoding
    units: int
    segments: int


def cost(text: str) -> Cost:
    """What sending this text costs. One character outside GSM-7 makes the whole text UCS-2.

    A character is never split between segments, so a segment may end with a unit unused. No text is one segment.
    """
    if all(char in _BASIC or char in _EXTENDED for char in text):
        return _cost(Encoding.GSM7, [1 if char in _BASIC else 2 for char in text], alone=160, joined=153)
    return _cost(Encoding.UCS2, [1 if ord(char) <= 0xFFFF else 2 for char in text], alone=70, joined=67)


def plain(text: str) -> str:
    """The text with typographic characters as their GSM-7 equals: a curly quote would more than double the price."""
    return text.translate(_TYPOGRAPHIC)


def _cost(encoding: Encoding, widths: list[int], *, alone: int, joined: int) -> Cost:
    units = sum(widths)
    segments = 1 if units <= alone else _packed(widths, joined)
    return Cost(encoding=encoding, units=units, segments=segments)


def _packed(widths: Iterable[int], room: int) -> int:
    segments, used = 1, 0
    for width in widths:
        if used + width > room:
            segments, used = segments + 1, 0
        used += width
    return segments
