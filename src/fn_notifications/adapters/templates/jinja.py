"""Messages by Jinja2: `<language>/<type>/subject.txt, body.txt, body.html, sms.txt, whatsapp.txt`.

`{% set slot_1 = ... %}` in whatsapp.txt fills placeholder 1 of the provider's own template: the text we show and the
variables we send cannot drift apart. `<language>/words.toml` says how the language writes times.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve
from jinja2 import Template

from fn_notifications.adapters.templates.environment import Templates
from fn_notifications.adapters.templates.filters import CONTEXT, LANGUAGE, WORDS, Words, short
from fn_notifications.application.catalogue import Catalogue
from fn_notifications.application.content import checked
from fn_notifications.application.ports.sending import Content, ContentError
from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Channel
from fn_notifications.domain.catalogue import Zones
from fn_notifications.domain.segments import plain

FALLBACK: Final = "en"
FILES: Final[Mapping[Channel, tuple[str, ...]]] = MappingProxyType(
    {EMAIL: ("subject.txt", "body.txt", "body.html"), SMS: ("sms.txt",), WHATSAPP: ("whatsapp.txt",)}
)
_SLOT: Final = re.compile(r"slot_([0-9]{1,2})")
_LONGEST_SLOT: Final = 1_000
_KEPT: Final = 1_000
"""How many tags of languages, and pairs of language and zone, are remembered: people bring what they like."""


class JinjaRenderer:
    """Renders a catalogue's types.

    What a language lacks is rendered in the next more general one: es-CO, es, en. There is one set of templates: a
    notification planned under another version of the catalogue is rendered with today's.
    """

    def __init__(self, catalogue: Catalogue, directories: Sequence[Path], zones: Zones) -> None:
        self._catalogue = catalogue
        self._templates = Templates(directories)
        self._zones = zones
        self._words = cache(self._read_words)
        self._words_in = lru_cache(_KEPT)(self._in_zone)
        self._language = lru_cache(_KEPT)(self._nearest)

    def render(
        self,
        notification_type: str,
        channel: Channel,
        variables: Mapping[str, object],
        *,
        language: str | None,
        timezone: str | None,
        version: str,
    ) -> Content:
        """See `Renderer`. Templates see the variables the type declares and no others; an absent one is None."""
        del version
        values = self._values(notification_type, variables)
        words_of = self._catalogue.given_words if values.get("body") is not None else None
        type_ = words_of or notification_type
        chosen = self._language(type_, language)
        folder = f"{chosen}/{type_}"
        context = {**values, LANGUAGE: chosen, WORDS: self._words_in(chosen, timezone)}
        return checked(folder, channel, self._content(folder, channel, context, self._sid(chosen, type_)))

    def problems(self) -> list[str]:
        """What would go wrong later: missing files, bad syntax, variables that a type does not declare. Reads all."""
        languages = sorted({name.split("/")[0] for name in self._templates.names() if name.endswith("/words.toml")})
        return [
            problem
            for language in languages
            for notification_type, declared in self._catalogue.variables.items()
            if language == FALLBACK or f"{language}/{notification_type}/subject.txt" in self._templates
            for file in (file for files in FILES.values() for file in files)
            if (problem := self._problem(f"{language}/{notification_type}/{file}", frozenset(declared)))
        ]

    def _values(self, notification_type: str, variables: Mapping[str, object]) -> dict[str, Any]:
        type_ = self._catalogue.types.get(notification_type)
        if type_ is None:
            raise ContentError(f"{notification_type}: no such type in the catalogue")
        for name in type_.required:
            if variables.get(name) is None:
                raise ContentError(f"{notification_type}: required variable {name!r} is missing")
        return {name: variables.get(name) for name in (*type_.required, *type_.optional)}

    def _nearest(self, notification_type: str, wanted: str | None) -> str:
        parts = (wanted or FALLBACK).split("-")
        tags = ("-".join(parts[:length]) for length in range(len(parts), 0, -1))
        return next((tag for tag in tags if f"{tag}/{notification_type}/subject.txt" in self._templates), FALLBACK)

    def _read_words(self, language: str) -> Words:
        name = f"{language}/words.toml"
        try:
            words = tomllib.loads(self._templates.source(name))
            months, moments = tuple(words["months"]), words["datetime"]
        except (KeyError, TypeError, ValueError):
            months, moments = (), ""
        if len(months) != 12 or not all(isinstance(word, str) for word in (*months, moments)):
            raise ContentError(f"{name}: twelve `months` and a `datetime` are needed")
        return Words(months=months, datetime=moments)

    def _in_zone(self, language: str, timezone: str | None) -> Words:
        words = self._words(language)
        zone = self._zones(timezone) if timezone else None
        return evolve(words, zone=zone) if zone else words

    def _sid(self, language: str, notification_type: str) -> str | None:
        return self._catalogue.content_sids.get(language, {}).get(notification_type)

    def _content(self, folder: str, channel: Channel, context: dict[str, Any], sid: str | None) -> Content:
        if channel == EMAIL:
            subject, body, html = [self._text(f"{folder}/{file}", context) for file in FILES[EMAIL]]
            return Content(subject=subject, text=body, html=html)
        if channel == WHATSAPP:
            return self._whatsapp(f"{folder}/whatsapp.txt", context, sid)
        return Content(text=plain(self._text(f"{folder}/{channel}.txt", context)))

    def _text(self, name: str, context: dict[str, Any]) -> str:
        return self._templates.apply(name, lambda template: _rendered(template, context)).strip()

    def _whatsapp(self, name: str, context: dict[str, Any], sid: str | None) -> Content:
        module = self._templates.apply(name, lambda template: template.make_module(context, shared=True))
        found = {int(match[1]): value for key, value in vars(module).items() if (match := _SLOT.fullmatch(key))}
        # By number, not as found: a template's names come in another order in every process.
        slots = {str(number): short(value, _LONGEST_SLOT) for number, value in sorted(found.items())}
        if not all(slots.values()):
            raise ContentError(f"{name}: a slot is empty, which no provider accepts")
        return Content(text=str(module).strip(), template_id=sid, template_variables=slots if sid else {})

    def _problem(self, name: str, declared: frozenset[str]) -> str | None:
        try:
            undeclared = self._templates.used(name) - declared - CONTEXT
        except ContentError as error:
            return str(error)
        return f"{name}: undeclared: {', '.join(sorted(undeclared))}" if undeclared else None


def _rendered(template: Template, context: dict[str, Any]) -> str:
    """As `Template.render`, which copies the context twice to add global names: our templates have none."""
    return "".join(template.root_render_func(template.new_context(context, shared=True)))
