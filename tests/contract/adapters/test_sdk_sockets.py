"""The vendors' SDKs build requests and open no connection: every socket is our transport's."""

import socket

import pytest
from attrs import define, field

from fn_notifications.adapters.sendgrid.sender import SendGridSender
from fn_notifications.adapters.sendgrid.settings import SendGridSettings
from fn_notifications.adapters.transport.http import Response
from fn_notifications.adapters.twilio.sender import TwilioSender
from fn_notifications.adapters.twilio.settings import TwilioSettings
from fn_notifications.application.ports.sending import Content, Message, Sender
from fn_notifications.domain.address import EMAIL, SMS, Address, Channel, EmailAddress, PhoneNumber
from fn_notifications.domain.outcome import OutcomeKind

CALLS = 5


@define
class Paper:
    """A transport without a wire."""

    posts: int = 0

    async def post(self, *_: object, **__: object) -> Response:
        self.posts += 1
        return Response(202 if self.posts <= CALLS else 201, {}, b"{}")


@define
class Sockets:
    """Counts the internet sockets made and connected in this process."""

    made: int = 0
    connected: list[object] = field(factory=list)


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Sockets:
    counted = Sockets()
    make, connect, connect_ex = socket.socket.__init__, socket.socket.connect, socket.socket.connect_ex

    def counting_make(self, family=-1, *arguments, **options) -> None:
        make(self, family, *arguments, **options)
        counted.made += self.family in (socket.AF_INET, socket.AF_INET6) and "fileno" not in options

    def counting_connect(self, address) -> None:
        counted.connected.append(address)
        connect(self, address)

    def counting_connect_ex(self, address) -> int:
        counted.connected.append(address)
        return connect_ex(self, address)

    monkeypatch.setattr(socket.socket, "__init__", counting_make)
    monkeypatch.setattr(socket.socket, "connect", counting_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", counting_connect_ex)
    return counted


def senders(transport, base_url: str) -> list[tuple[Sender, Channel, Address]]:
    sendgrid = SendGridSettings(api_key="k", from_email=EmailAddress("hello@example.com"), base_url=base_url)
    twilio = TwilioSettings(
        account_sid="AC1", auth_token="t", phone_number=PhoneNumber("+15005550006"), base_url=base_url
    )
    return [
        (SendGridSender(sendgrid, transport), EMAIL, EmailAddress("ada@example.com")),
        (TwilioSender(twilio, SMS, transport), SMS, PhoneNumber("+15005550100")),
    ]


async def send(transport, base_url: str) -> list[OutcomeKind]:
    kinds = []
    for sender, channel, to in senders(transport, base_url):
        for number in range(CALLS):
            content = Content(text="Hi", subject="Hi" if channel == EMAIL else None)
            message = Message(
                attempt_id=str(number), channel=channel, to=to, content=content, notification_type="welcome"
            )
            kinds += [outcome.kind for outcome in await sender.send([message])]
    return kinds


async def test_fault_11_the_sdks_open_0_sockets(sockets: Sockets) -> None:
    paper = Paper()
    kinds = await send(paper, "https://api.example.com")

    assert kinds == [OutcomeKind.ACCEPTED] * 2 * CALLS
    assert (paper.posts, sockets.made, sockets.connected) == (2 * CALLS, 0, [])


async def test_all_calls_of_both_share_one_connection_of_the_transport(sockets: Sockets, notary, transport) -> None:
    await send(transport, notary.base_url)

    port = int(notary.base_url.rpartition(":")[2])
    assert len(notary.requests) == 2 * CALLS
    assert sockets.connected == [("127.0.0.1", port)]


def test_the_count_counts(sockets: Sockets) -> None:
    with socket.socket() as listener, socket.socket() as caller:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        caller.connect(listener.getsockname())

    assert (sockets.made, len(sockets.connected)) == (2, 1)
