"""Templates in a dictionary, in the manner of `str.format`: rendering for the base install."""

import html
import string
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

from fn_notifications.application.content import checked
from fn_notifications.application.ports.sending import Content, ContentError
from fn_notifications.domain.address import EMAIL, Channel

_PARTS: Final = ("subject", "text", "html")


@frozen
class MemoryRenderer:
    """`templates[type]` holds `subject`, `text` and `html` for email and a text under the name of any other channel.

    `{title}` stands for a variable, `{{` for a brace. Nothing can be looked up inside a variable. One language and
    one version: whatever is asked for, these templates answer. A channel without a text of its own gets `text`.
    """

    templates: Mapping[str, Mapping[str, str]]
    optional: Mapping[str, Sequence[str]] = field(factory=dict)
    """By type, the variables that may be absent and then stand for nothing."""

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
        """See `Renderer`."""
        del language, timezone, version
        templates = self.templates.get(notification_type)
        if templates is None:
            raise ContentError(f"{notification_type}: no templates")
        given = dict.fromkeys(self.optional.get(notification_type, ()), "") | {
            name: value for name, value in variables.items() if value is not None
        }
        name = f"{notification_type}, {channel}"
        if channel != EMAIL:
            return checked(name, channel, Content(text=_filled(templates, (channel, "text"), given, name) or ""))
        subject, text, page = (_filled(templates, (part,), given, name) for part in _PARTS)
        return checked(name, channel, Content(subject=subject, text=text or "", html=page))


class _Plain(string.Formatter):
    """`str.format` without its way into objects."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        del args
        return kwargs[field_name], field_name


def _filled(
    templates: Mapping[str, str], alternatives: Sequence[str], variables: Mapping[str, object], name: str
) -> str | None:
    part = next((part for part in alternatives if part in templates), None)
    if part is None:
        return None
    escape = html.escape if part == "html" else str
    values = {key: escape(str(value)) for key, value in variables.items()}
    missing = None
    try:
        return _Plain().vformat(templates[part], (), values)
    except KeyError as error:
        missing = str(error.args[0])
    except ValueError:
        pass
    raise ContentError(f"{name}: no variable {missing!r}" if missing else f"{name}: the template is no template")
