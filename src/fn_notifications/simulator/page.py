"""A mailbox as a web page: one file of HTML, no script, nothing loaded from anywhere."""

from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Final

from fn_notifications.application.ports.sending import Delivered
from fn_notifications.simulator.style import STYLE

SHOWN: Final = 100
"""Messages on the page, the newest."""

HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
)
"""To be sent with the page. A mail's frame inherits the policy: it can load nothing and run nothing."""

_FRAME_HEAD: Final = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
    '<base target="_blank"><style>body{font:16px/1.5 system-ui,sans-serif;margin:16px}</style>'
)
"""Before the mail's own HTML. The target makes its links dead: the sandbox opens no windows."""

_GOOD: Final = frozenset({"delivered", "open", "click", "opened", "clicked", "read"})
_BAD: Final = frozenset({"bounce", "bounced", "dropped", "failed", "undelivered"})
_ODD: Final = frozenset({"deferred", "spamreport", "unsubscribe", "complained", "unsubscribed"})


def render_mailbox(messages: Sequence[Delivered], *, legend: Sequence[tuple[str, str]] = ()) -> str:
    """The newest 100 of `messages` (given oldest first) as a page, newest first.

    `legend` lists addresses that make the provider misbehave, and how. Text is shown as text; HTML is shut into a
    frame without scripts, forms, windows or network.
    """
    newest = list(reversed(messages[-SHOWN:]))
    listing = "\n".join(_message(one) for one in newest) or _EMPTY
    return _PAGE.format(style=STYLE, count=_count(len(messages)), listing=listing, legend=_legend(legend))


def _count(total: int) -> str:
    if total > SHOWN:
        return f"the newest {SHOWN} of {total:,} messages"
    return "1 message" if total == 1 else f"{total} messages, newest first" if total else "no messages"


def _message(one: Delivered) -> str:
    label, mood = _state(one)
    snippet = " ".join(one.text.split())[:160]
    head = f"<strong>{escape(one.subject)}</strong> " if one.subject else ""
    return f"""<details class="message">
<summary>
<span class="channel {_CHANNELS.get(one.channel, "")}">{escape(one.channel)}</span>
<span class="to">{escape(one.to)}</span>
<span class="line">{head}{escape(snippet)}</span>
<span class="state {mood}">{escape(label)}</span>
<time datetime="{one.at.isoformat()}">{one.at:%d %b %H:%M:%S}</time>
</summary>
{_bodies(one)}
{_facts(one)}
</details>"""


def _state(one: Delivered) -> tuple[str, str]:
    """What became of it in a word, and how it should look."""
    if one.answer != "accepted":
        return f"refused: {one.answer}", "bad"
    status = one.status or "accepted"
    for mood, statuses in (("good", _GOOD), ("bad", _BAD), ("odd", _ODD)):
        if status in statuses:
            return status, mood
    return status, ""


def _bodies(one: Delivered) -> str:
    text = f'<pre class="{"" if one.subject else "bubble"}">{escape(one.text)}</pre>'
    if one.html is None:
        return text
    source = escape(_FRAME_HEAD + one.html)
    frame = f'<iframe sandbox="" loading="lazy" title="HTML part" srcdoc="{source}"></iframe>'
    return f'{frame}<details class="plain"><summary>Text part</summary>{text}</details>'


def _facts(one: Delivered) -> str:
    facts = {
        "Provider": one.provider,
        "Answer": one.answer,
        "Last report": one.status or "none",
        "Attempt": one.attempt_id or "none",
        "Received": f"{one.at:%Y-%m-%d %H:%M:%S} {one.at.tzname() or ''}",
    }
    return f"<dl>{''.join(f'<div><dt>{name}</dt><dd>{escape(value)}</dd></div>' for name, value in facts.items())}</dl>"


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    if not entries:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(address)}</code></td><td>{escape(what)}</td></tr>" for address, what in entries
    )
    return (
        f'<details class="legend"><summary>Addresses that make things happen</summary><table>{rows}</table></details>'
    )


_CHANNELS: Final = MappingProxyType({"email": "email", "sms": "sms", "whatsapp": "whatsapp"})

_EMPTY: Final = '<p class="empty">Nothing has arrived yet.<br>Send something, then reload this page.</p>'

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Mailbox</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>Mailbox</h1>
<p>{count}</p>
<a href="">Reload</a>
</header>
<main>
{listing}
</main>
<footer>
{legend}
<p>Nothing on this page has left this machine.</p>
</footer>
</body>
</html>
"""
