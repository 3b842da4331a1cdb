"""What every `Renderer` keeps to. Subclass, provide the `subject` fixture, and pytest runs the rules.

The subject renders one type, `note`, with the required variable `title` and the optional `detail`. Its email subject,
its text, its HTML (within one `<p>`) and its SMS show the title as it is, and then the detail when there is one.
"""

import traceback
from collections.abc import Mapping
from typing import Final
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.application.ports.sending import Content, ContentError, Renderer
from fn_notifications.domain.address import EMAIL, SMS, Channel
from fn_notifications.testing.properties import over_subjects

_texts: Final = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=80).filter(
    lambda text: text == " ".join(text.split()) and any(category(one) != "Cf" for one in text)
)
"""Something to see: of marks without width alone, a text message keeps nothing."""
_hostile: Final = st.text("<>&\"'ab{}%$.=-", max_size=20).map(lambda text: f"a{text}b")
_CANARY: Final = "canary-7f3a"


class RendererContract:
    """Rules for rendering."""

    @over_subjects
    @given(title=_texts, detail=st.none() | _texts)
    def test_the_same_bytes_every_time(self, subject: Renderer, title: str, detail: str | None) -> None:
        """Rendering when the call starts and when somebody looks gives the same."""
        variables = {"title": title, "detail": detail}
        for channel in (EMAIL, SMS):
            assert _render(subject, variables, channel) == _render(subject, variables, channel)

    @over_subjects
    @given(title=_texts | _hostile)
    def test_a_value_is_shown_and_never_run(self, subject: Renderer, title: str) -> None:
        """Whatever stands in it, a value is text: no template, no format, no markup."""
        content = _render(subject, {"title": title})
        assert content.subject == title
        assert title in content.text
        assert content.html is not None
        assert content.html.count("<") == 2

    def test_template_syntax_in_a_value_stays_text(self, subject: Renderer) -> None:
        """The usual ways in."""
        for title in ("{{ 7 * 7 }}", "{% raw %}", "{title.__class__}", "{detail!r}", "%(title)s", "${title}", "{#x#}"):
            assert _render(subject, {"title": title}).subject == title

    def test_html_is_escaped_and_text_is_not(self, subject: Renderer) -> None:
        """Markup shows as what somebody typed."""
        content = _render(subject, {"title": "<b onload='x'>Tom & \"Jerry\"</b>"})
        assert content.html is not None
        assert not any(raw in content.html for raw in ("<b", "'x'", '"Jerry"', "Tom & "))
        assert "<b onload='x'>Tom & \"Jerry\"</b>" in content.text

    def test_an_absent_optional_variable_leaves_no_trace(self, subject: Renderer) -> None:
        """Neither `None` nor a place-holder is shown, whether it is missing or null."""
        missing, null = _render(subject, {"title": "Keys"}), _render(subject, {"title": "Keys", "detail": None})
        assert missing == null
        assert "None" not in f"{null.subject} {null.text} {null.html}"
        assert "detail" not in null.text
        assert "ring" in _render(subject, {"title": "Keys", "detail": "ring"}).text

    def test_a_channel_gets_what_it_has_a_place_for(self, subject: Renderer) -> None:
        """An SMS has neither subject nor HTML."""
        content = _render(subject, {"title": "Keys"}, SMS)
        assert (content.subject, content.html) == (None, None)
        assert "Keys" in content.text

    def test_a_missing_variable_is_named_and_no_value_is(self, subject: Renderer) -> None:
        """The error, its causes included, says where and what; what the others hold is nobody's business."""
        for variables in ({"detail": _CANARY}, {"title": None, "detail": _CANARY}):
            error = _refused(subject, variables)
            assert "note" in str(error)
            assert "title" in str(error)

    def test_an_unknown_type_is_refused(self, subject: Renderer) -> None:
        """By name."""
        with pytest.raises(ContentError, match="nonsense"):
            subject.render("nonsense", EMAIL, {"title": _CANARY}, language=None, timezone=None, version="1")

    def test_a_header_holds_no_line_break(self, subject: Renderer) -> None:
        """A subject with one would let a value write headers."""
        for title in (f"{_CANARY}\r\nBcc: x", f"{_CANARY}\nx", f"x\r{_CANARY}", f"{_CANARY}\u2028x", f"{_CANARY}\x00"):
            _refused(subject, {"title": title})

    def test_limits_hold_to_the_character(self, subject: Renderer) -> None:
        """A subject of 255 and an SMS of 1,600 characters pass; one more does not."""
        assert len(_render(subject, {"title": "x" * 255}).subject or "") == 255
        _refused(subject, {"title": "x" * 256})
        assert len(_render(subject, {"title": "x" * 1600}, SMS).text) == 1600
        _refused(subject, {"title": "x" * 1601}, SMS)

    def test_html_has_a_limit(self, subject: Renderer) -> None:
        """A value cannot make a message of any size."""
        _refused(subject, {"title": "Keys", "detail": _CANARY + "<" * 40_000})

    def test_nothing_is_no_message(self, subject: Renderer) -> None:
        """An empty text is refused here, not by a provider."""
        _refused(subject, {"title": " "}, SMS)

    def test_a_language_or_zone_nobody_knows_is_no_obstacle(self, subject: Renderer) -> None:
        """The message goes out in what there is."""
        plain = _render(subject, {"title": "Keys"})
        for language, timezone in (("xx", "Nowhere/Land"), ("../../etc", "../../etc/passwd"), ("", "")):
            odd = subject.render(
                "note", EMAIL, {"title": "Keys"}, language=language, timezone=timezone, version="older"
            )
            assert odd == plain


def _render(subject: Renderer, variables: Mapping[str, object], channel: Channel = EMAIL) -> Content:
    return subject.render("note", channel, variables, language="en", timezone="Europe/Berlin", version="1")


def _refused(subject: Renderer, variables: Mapping[str, object], channel: Channel = EMAIL) -> ContentError:
    with pytest.raises(ContentError) as refused:
        _render(subject, variables, channel)
    assert _CANARY not in "".join(traceback.format_exception(refused.value))
    return refused.value
