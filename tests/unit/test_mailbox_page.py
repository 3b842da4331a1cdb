"""The mailbox page: what was sent is shown, and can do nothing."""

import re
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.application.ports.sending import Delivered
from fn_notifications.domain.address import EMAIL, SMS
from fn_notifications.simulator.page import HEADERS, SHOWN, render_mailbox

ONE = Delivered(
    at=datetime(2026, 11, 22, 12, 34, 56, tzinfo=UTC),
    provider="sendgrid",
    channel=EMAIL,
    to="ada@example.com",
    subject="A match",
    text="Your wallet was found",
    html="<p>Your <b>wallet</b></p>",
    answer="accepted",
    attempt_id="0190-1-1",
)


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_shows_what_was_sent_and_what_became_of_it() -> None:
    page = render_mailbox([evolve(ONE, status="delivered")])
    for shown in ("ada@example.com", "A match", "Your wallet was found", "0190-1-1", "delivered", "1 message"):
        assert shown in page


def test_newest_first_and_no_more_than_fit() -> None:
    page = render_mailbox([evolve(ONE, to=f"n{n}@example.com") for n in range(SHOWN + 5)])
    recipients = re.findall(r'class="to">n(\d+)@', page)
    assert [int(number) for number in recipients] == list(range(SHOWN + 4, 4, -1))
    assert f"newest {SHOWN} of {SHOWN + 5}" in page


def test_says_when_there_is_nothing() -> None:
    assert "Nothing has arrived yet" in render_mailbox([])


@pytest.mark.parametrize(
    ("answer", "status", "shown", "mood"),
    [
        ("accepted", None, "accepted", ""),
        ("accepted", "delivered", "delivered", "good"),
        ("accepted", "bounce", "bounce", "bad"),
        ("accepted", "deferred", "deferred", "odd"),
        ("21610", None, "refused: 21610", "bad"),
    ],
)
def test_the_state_is_seen_at_a_glance(answer: str, status: str | None, shown: str, mood: str) -> None:
    page = render_mailbox([evolve(ONE, answer=answer, status=status)])
    assert f'<span class="state {mood}">{shown}</span>' in page


def test_html_is_shut_into_a_frame_that_can_do_nothing() -> None:
    hostile = '"><script>alert(1)</script><img src="https://example.com/x.png"><form action="https://example.com">'
    page = render_mailbox([evolve(ONE, html=hostile)])
    elements = Elements(page)
    (frame,) = elements.named("iframe")
    assert frame["sandbox"] == ""
    assert (frame["srcdoc"] or "").endswith(hostile)
    assert "default-src 'none'" in unescape(frame["srcdoc"] or "")
    assert not elements.named("script")
    assert not elements.named("form")
    assert not elements.named("img")


def test_a_text_has_no_frame() -> None:
    sms = evolve(ONE, channel=SMS, subject=None, html=None)
    assert not Elements(render_mailbox([sms])).named("iframe")


HOSTILE = st.sampled_from(["<b>", "\"'><i>", "</details><p>", "</style><s>", "<!--", "{0}", "&lt;u&gt;"]) | st.text()


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_no_text_becomes_markup(to: str, subject: str, text: str, answer: str, channel: str) -> None:
    """Whatever the fields hold, the page has the elements it would have had."""

    def shape(message: Delivered) -> list[str]:
        return [tag for tag, _ in Elements(render_mailbox([message])).found]

    odd = evolve(ONE, to=to, subject=subject or "x", text=text, answer=answer, channel=channel, provider=answer)
    assert shape(odd) == shape(ONE)


def test_loads_nothing_from_anywhere() -> None:
    elements = Elements(render_mailbox([ONE], legend=[("bounce@", "bounces")]))
    for tag, attributes in elements.found:
        assert tag not in {"script", "link", "img", "object", "embed"}
        assert "src" not in attributes
        assert attributes.get("href", "") == ""
    assert "url(" not in render_mailbox([ONE])


def test_the_headers_forbid_what_the_page_does_not_need() -> None:
    assert "script-src" not in HEADERS["Content-Security-Policy"]
    assert HEADERS["Content-Security-Policy"].startswith("default-src 'none'")


def test_the_legend_says_what_addresses_do() -> None:
    assert "<code>bounce@</code></td><td>bounces &lt;for good&gt;" in render_mailbox(
        [], legend=[("bounce@", "bounces <for good>")]
    )
