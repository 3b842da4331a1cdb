"""The second wall: addresses and secrets that got into a text after all are taken out before it leaves. Pure."""

import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from attrs import field, frozen

ADDRESS: Final = "[address]"
NUMBER: Final = "[number]"
SECRET: Final = "[secret]"  # noqa: S105 - what stands in the place of one
UNPRINTABLE: Final = "[unprintable]"

_SHORTEST_SECRET: Final = 6
_LONGEST_READ: Final = 20_000
"""Characters: more of a text is not looked at, and not shown either."""
_WORD: Final = re.compile(r"[^\s<>,;]+")
_HOLDS_ADDRESS: Final = re.compile(r".(?:@|%40).")
_NUMBER: Final = re.compile(r"(?:\+|%2B)[1-9](?:[\s().\-/]{0,3}\d){6,}", re.IGNORECASE)
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _frozen(secrets: Iterable[str]) -> frozenset[str]:
    return frozenset(secrets)


@frozen
class Redaction:
    """Takes out what looks like an email address or an E.164 number, and every secret it was told of.

    It rather takes too much: a whole word with an @ inside, a URL's user and password with it. Secrets of fewer than 6
    characters are not looked for, they stand inside ordinary words; those of several lines are, line by line.
    """

    secrets: frozenset[str] = field(default=frozenset(), converter=_frozen, repr=False)
    _pattern: re.Pattern[str] | None = field(init=False, repr=False)

    @_pattern.default
    def _pattern_of_secrets(self) -> re.Pattern[str] | None:
        lines = {line.strip() for secret in self.secrets for line in secret.splitlines()}
        forms = {form for line in lines if len(line) >= _SHORTEST_SECRET for form in _spellings(line)}
        return re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True)))) if forms else None

    def text(self, value: object, longest: int, *, lines: bool = False) -> str:
        """A value as text without any of that, at most `longest` characters, on one line unless `lines` are kept.

        Never raises: a value that cannot be written says so.
        """
        try:
            text = str(value)
        except Exception:  # noqa: BLE001 - somebody's __str__, or a number of too many digits
            return UNPRINTABLE
        text = _CONTROLS.sub(" ", _beginning(text))
        text = self._without(text if lines else text.replace("\n", " "))
        return text if len(text) <= longest else text[: longest - 1] + "…"

    def _without(self, text: str) -> str:
        if self._pattern is not None:
            text = self._pattern.sub(SECRET, text)
        if "@" in text or "%40" in text:
            text = _WORD.sub(lambda word: ADDRESS if _HOLDS_ADDRESS.search(word[0]) else word[0], text)
        return _NUMBER.sub(NUMBER, text)


def _spellings(secret: str) -> Iterable[str]:
    """As it is, in a URL, in JSON."""
    return secret, quote(secret, safe=""), json.dumps(secret)[1:-1]


def _beginning(text: str) -> str:
    """The part that is looked at, up to the end of a word: half an address would not be recognised."""
    if len(text) <= _LONGEST_READ:
        return text
    return text[:_LONGEST_READ].rpartition(" ")[0] or text[:_LONGEST_READ]
