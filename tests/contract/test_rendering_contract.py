"""Both renderers keep to the contract, and the contract notices those that do not."""

from zoneinfo import ZoneInfo

import pytest
from attrs import evolve

from fn_notifications.adapters.memory.renderer import MemoryRenderer
from fn_notifications.adapters.templates.jinja import JinjaRenderer
from fn_notifications.application.catalogue import Catalogue
from fn_notifications.application.ports.sending import ContentError
from fn_notifications.domain.catalogue import NotificationType
from fn_notifications.testing.contracts.rendering import RendererContract
from fn_notifications.testing.planted import broken_rules

FILES = {
    "words.toml": 'months = ["1","2","3","4","5","6","7","8","9","10","11","12"]\ndatetime = "{day}"',
    "note/subject.txt": "{{ title }}",
    "note/body.txt": "{{ title }}{% if detail %} {{ detail }}{% endif %}",
    "note/body.html": "<p>{{ title }}{% if detail %} {{ detail }}{% endif %}</p>",
    "note/sms.txt": "{{ title }}{% if detail %} {{ detail }}{% endif %}",
}
NOTE = NotificationType(name="note", required=("title",), optional=("detail",))


def memory():
    templates = {"subject": "{title}", "text": "{title} {detail}", "html": "<p>{title} {detail}</p>", "sms": "{title}"}
    return MemoryRenderer({"note": templates}, {"note": ("detail",)})


class TestMemoryRenderer(RendererContract):
    @pytest.fixture
    def subject(self):
        return memory()

    @pytest.mark.parametrize("template", ["{title.__class__}", "{title[0]}", "{}", "{0}", "{", "{title!x}"])
    def test_a_template_cannot_look_inside_a_value(self, template):
        renderer = MemoryRenderer({"note": {"sms": template}})
        with pytest.raises(ContentError):
            renderer.render("note", "sms", {"title": "x"}, language=None, timezone=None, version="1")


class TestJinjaRenderer(RendererContract):
    @pytest.fixture
    def subject(self, tmp_path):
        for name, text in FILES.items():
            file = tmp_path / "en" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        catalogue = Catalogue(version="1", types={"note": NOTE}, events={})
        return JinjaRenderer(catalogue, [tmp_path], lambda name: ZoneInfo(name) if name == "Europe/Berlin" else None)


class _Wrapped:
    def __init__(self):
        self.whole = memory()
        self.calls = 0

    def render(self, notification_type, channel, variables, **context):
        self.calls += 1
        return self.change(self.whole.render(notification_type, channel, variables, **context))

    def change(self, content):
        return content


class _Counting(_Wrapped):
    """Never the same twice."""

    def change(self, content):
        return evolve(content, text=f"{content.text} {self.calls}")


class _Unescaped(_Wrapped):
    """Lets values write markup."""

    def change(self, content):
        return evolve(content, html=content.html and f"<p>{content.subject}</p>")


class _Formats(_Wrapped):
    """Takes values for templates."""

    def render(self, notification_type, channel, variables, **context):
        title = str(variables.get("title")).replace("{title.__class__}", "<class 'str'>")
        return super().render(notification_type, channel, {**variables, "title": title}, **context)


class _Quotes(_Wrapped):
    """Explains itself with other people's data."""

    def render(self, notification_type, channel, variables, **context):
        try:
            return super().render(notification_type, channel, variables, **context)
        except ContentError as error:
            raise ContentError(f"{error} in {variables}") from None


class _Chained(_Wrapped):
    """Says nothing itself, and lets its cause say it."""

    def render(self, notification_type, channel, variables, **context):
        try:
            return super().render(notification_type, channel, variables, **context)
        except ContentError as error:
            raise ContentError(str(error)) from ValueError(str(variables))


class _Shows(_Wrapped):
    """Prints what is not there."""

    def render(self, notification_type, channel, variables, **context):
        shown = {"detail": "None"} | {name: str(value) for name, value in variables.items() if value is not None}
        return super().render(notification_type, channel, shown, **context)


class _Cuts(_Wrapped):
    """Cuts instead of refusing."""

    def render(self, notification_type, channel, variables, **context):
        cut = {name: value and str(value)[:200].replace("\n", " ") for name, value in variables.items()}
        return super().render(notification_type, channel, cut, **context)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (_Counting(), "test_the_same_bytes_every_time"),
        (_Unescaped(), "test_html_is_escaped_and_text_is_not"),
        (_Formats(), "test_template_syntax_in_a_value_stays_text"),
        (_Quotes(), "test_a_missing_variable_is_named_and_no_value_is"),
        (_Chained(), "test_a_missing_variable_is_named_and_no_value_is"),
        (_Shows(), "test_an_absent_optional_variable_leaves_no_trace"),
        (_Cuts(), "test_limits_hold_to_the_character"),
    ],
)
def test_the_contract_rejects(broken, rule):
    assert rule in broken_rules(RendererContract, broken)


def test_the_contract_accepts_what_is_whole():
    assert not broken_rules(RendererContract, memory())
