"""SendGrid and Twilio on this machine's loopback: their HTTP interfaces, their reports, and a page of what came in."""

import secrets
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Final, Self

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler
from attrs import asdict, define, field

from fn_notifications.application.ports.sending import Delivered
from fn_notifications.simulator.behaviour import EMAILS, PHONES, Choice
from fn_notifications.simulator.inbox import Inbox, Tally
from fn_notifications.simulator.journal import Call, Journal
from fn_notifications.simulator.page import HEADERS, render_mailbox
from fn_notifications.simulator.poster import Poster
from fn_notifications.simulator.sendgrid import SendGridInterface
from fn_notifications.simulator.sendgrid_reports import SendGridReports
from fn_notifications.simulator.twilio import TwilioInterface
from fn_notifications.simulator.twilio_reports import TwilioReports

HOST: Final = "127.0.0.1"
_LARGEST_REQUEST: Final = 30 * 1024 * 1024
"""SendGrid's limit for a whole message."""
_REPORT_SECONDS: Final = 10.0


def _now() -> datetime:
    return datetime.now(UTC)


@define(kw_only=True)
class Simulator:
    """`async with Simulator() as simulator:` serves until the block ends. `behaviour` says what addresses do."""

    port: int = 0
    """0 for any free one; the one taken once started."""
    sendgrid_api_key: str = field(
        factory=lambda: f"SG.{secrets.token_urlsafe(16)}.{secrets.token_urlsafe(32)}", repr=False
    )
    sendgrid_webhook_url: str | None = None
    """Where SendGrid's events go; may be set later. Twilio's go where each message says."""
    twilio_account_sid: str = field(factory=lambda: f"AC{secrets.token_hex(16)}")
    twilio_auth_token: str = field(factory=lambda: secrets.token_hex(16), repr=False)
    pause: float = 2.0
    """Seconds a `slow` answer takes."""
    repeats: Sequence[float] = (0.5, 1.0, 2.0, 4.0, 8.0)
    """Seconds before SendGrid posts events again that nobody took. The real one goes on for 24 hours."""
    keep: int = 10_000
    """Messages kept, the newest."""
    clock: Callable[[], datetime] = _now
    choice: Choice = field(factory=Choice)
    """Decides what becomes of a message."""
    tally: Tally = field(factory=Tally, init=False)
    _inbox: Inbox = field(init=False, repr=False)
    _journal: Journal = field(init=False, repr=False)
    _events: SendGridReports = field(init=False, repr=False)
    _texts: TwilioReports = field(init=False, repr=False)
    _poster: Poster = field(init=False, repr=False)
    _stack: AsyncExitStack = field(init=False, repr=False)

    @property
    def base_url(self) -> str:
        """Where both providers and the page are."""
        return f"http://{HOST}:{self.port}"

    @property
    def sendgrid_public_key(self) -> str:
        """What SendGrid's webhook settings would show as the verification key; made anew at each start."""
        return self._events.public_key

    @property
    def reporting(self) -> bool:
        """Whether a report is still on its way, or waiting to be."""
        return self._poster.busy

    @property
    def requests_total(self) -> int:
        """Requests to send so far, refused ones too; `tally` counts the rest."""
        return self.tally.requests_total

    def messages(self) -> Sequence[Delivered]:
        """See `Mailbox.messages`."""
        return self._inbox.messages()

    def calls(self) -> Sequence[Call]:
        """Requests to send as they were met, oldest first: as many as messages are kept."""
        return self._journal.calls()

    async def text_in(self, url: str, *, sender: str, to: str, body: str) -> int | None:
        """Have somebody text `body` to our number `to`: a signed post to `url`. The status of the answer, if any."""
        return await self._texts.text_in(url, sender=sender, to=to, body=body)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_REPORT_SECONDS), cookie_jar=aiohttp.DummyCookieJar()
            )
            self._poster = poster = Poster(await stack.enter_async_context(session))
            stack.push_async_callback(poster.close)
            runner = web.AppRunner(
                self._application(poster), access_log=None, handler_cancellation=True, shutdown_timeout=0.1
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, HOST, self.port).start()
            self.port = runner.addresses[0][1]
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _application(self, poster: Poster) -> web.Application:
        self._journal = Journal(self.clock, self.keep)
        self._inbox = Inbox(self.keep, self._journal.note)
        self._events = SendGridReports(
            lambda: self.sendgrid_webhook_url, self._inbox, self.tally, poster, self.clock, self.repeats
        )
        self._texts = TwilioReports(
            self.twilio_account_sid, self.twilio_auth_token, self._inbox, self.tally, poster, self.clock
        )
        shared = (self._inbox, self.tally, self.choice)
        sendgrid = SendGridInterface(self.sendgrid_api_key, *shared, self._events, self.clock, self.pause)
        twilio = TwilioInterface(
            self.twilio_account_sid, self.twilio_auth_token, *shared, self._texts, self.clock, self.pause
        )
        application = web.Application(
            client_max_size=_LARGEST_REQUEST, middlewares=[_local_names_only, self._recording]
        )
        application.add_routes([*sendgrid.routes(), *twilio.routes()])
        application.add_routes([web.get("/", self._page), web.get("/messages.json", self._listing)])
        return application

    @web.middleware
    async def _recording(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        return await (self._journal.record(request, handler) if request.method == "POST" else handler(request))

    async def _page(self, _: web.Request) -> web.Response:
        behaviours = {**{f"{word}@": one for word, one in EMAILS.items()}, **PHONES}
        legend = [(address, one.what) for address, one in behaviours.items() if not one.once]
        return web.Response(
            text=render_mailbox(self.messages(), legend=legend), content_type="text/html", headers=HEADERS
        )

    async def _listing(self, _: web.Request) -> web.Response:
        newest_first = reversed(self.messages())
        return web.json_response([{**asdict(one), "at": one.at.isoformat()} for one in newest_first])


@web.middleware
async def _local_names_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page elsewhere could have its own name point here and read the mails: only this machine's names are ours."""
    if request.url.host not in (HOST, "localhost"):
        raise web.HTTPMisdirectedRequest
    return await handler(request)
