"""One call: render, hand to the provider within the deadline, turn whatever happens into an answer."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from math import inf
from typing import Final

from attrs import Factory, field, frozen

from fn_notifications.application.doubts import Doubts
from fn_notifications.application.ports.deliveries import Answer, Begun
from fn_notifications.application.ports.people import OptOut
from fn_notifications.application.ports.sending import Content, ContentError, Message, Renderer, Sender
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import Policy
from fn_notifications.domain.commands import Record
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope

_UNFIT: Final = Outcome(kind=OutcomeKind.REFUSED, scope=Scope.CONTENT, code="template")
_NO_ADDRESS: Final = Outcome(kind=OutcomeKind.UNSENT, code="no_address")
_LEASE_OVER: Final = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="lease_over")


@frozen(kw_only=True)
class Lane:
    """One channel's routes, by name and in order of failover, and what each of them may use."""

    channel: Channel
    routes: Mapping[str, Sender]
    slots: int = 10
    """Calls on the wire at once, by each route: one that hangs holds up no other."""
    deadline: float = 30.0
    """Seconds, in all, for one call."""
    rate: float | None = None
    """Calls a second by each route, in all processes together; None: as many as there are."""


@frozen(kw_only=True)
class Called:
    """What became of a delivery that was begun."""

    answer: Answer
    asked: bool
    """Whether the provider was called at all: otherwise the answer says nothing about it."""

    @property
    def outcome(self) -> Outcome:
        """What the call came to."""
        return self.answer.record.outcome


@frozen(kw_only=True)
class Caller:
    """Makes the calls."""

    renderer: Renderer
    policy: Policy
    telemetry: Telemetry
    chance: Callable[[], float]
    doubts: Doubts = field(default=Factory(lambda self: Doubts(policy=self.policy), takes_self=True))

    async def call(self, lane: Lane, begun: Begun, *, until: float = inf) -> Called:
        """Send what was begun. Never raises: being cancelled is an answer too, the call may have been acted on.

        `until`: when its lease is over, by the loop's time. A call that might outlast it is not made: by then somebody
        else has taken over (a worker that was frozen).
        """
        attempt = begun.delivery.attempts[-1]
        content = self._render(begun)
        if content is None:
            return self._answer(begun, _UNFIT)
        point = begun.person.contacts[begun.delivery.channel]
        if point.address is None:  # the gate looked, under lock, a moment ago
            return self._answer(begun, _NO_ADDRESS)
        message = Message(
            attempt_id=attempt.id,
            channel=begun.delivery.channel,
            to=point.address,
            content=content,
            notification_type=begun.notification.type,
        )
        started = asyncio.get_running_loop().time()
        if started + lane.deadline > until:
            self.telemetry.count("calls.lease_over", route=attempt.route)
            return self._answer(begun, _LEASE_OVER)
        outcome = await self._send(lane.routes[attempt.route], message, lane.deadline)
        self.telemetry.observe(
            "provider.call", asyncio.get_running_loop().time() - started, route=attempt.route, outcome=outcome.kind
        )
        return self._answer(begun, outcome, digest_of(content), asked=True)

    def _render(self, begun: Begun) -> Content | None:
        notification = begun.notification
        try:
            return self.renderer.render(
                notification.type,
                begun.delivery.channel,
                notification.variables,
                language=notification.language,
                timezone=notification.timezone,
                version=notification.catalogue,
            )
        except ContentError as error:
            self.telemetry.log(
                "error", "content.unfit", delivery=begun.delivery.key.event_key, type=notification.type, why=str(error)
            )
            return None

    async def _send(self, sender: Sender, message: Message, deadline: float) -> Outcome:
        try:
            async with asyncio.timeout(deadline):
                (outcome,) = await sender.send([message])
        except TimeoutError:
            return Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="deadline")
        except asyncio.CancelledError:
            return Outcome(kind=OutcomeKind.IN_DOUBT, code="stopped")
        except Exception as error:  # noqa: BLE001 - a sender that breaks its contract must not lose the attempt
            self.telemetry.log("error", "sender.broke_contract", error=type(error).__name__)
            return Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="sender_error")
        return outcome

    def _answer(self, begun: Begun, outcome: Outcome, digest: str | None = None, *, asked: bool = False) -> Called:
        delivery = begun.delivery
        attempt = delivery.attempts[-1]
        record = Record(
            no=attempt.no,
            outcome=outcome,
            retry=self.policy.retry,
            chance=self.chance(),
            grace=self.doubts.grace(delivery, now=attempt.started_at),
            digest=digest,
            ask_after=self.doubts.ask_after(attempt.route),
        )
        opt_out = _opt_out(begun, outcome, attempt.started_at)
        return Called(answer=Answer(lease=begun.lease, record=record, opt_out=opt_out), asked=asked)


def _opt_out(begun: Begun, outcome: Outcome, at: datetime) -> OptOut | None:
    """A provider that refuses because of a STOP knows of one we missed."""
    point = begun.person.contacts.get(begun.delivery.channel)
    if outcome.kind is not OutcomeKind.OPTED_OUT or point is None or point.address is None:
        return None
    return OptOut(
        tenant=begun.delivery.key.tenant, channel=begun.delivery.channel, address=point.address, cause="stop", at=at
    )


def digest_of(content: Content) -> str:
    """SHA-256 (hex) of everything a recipient would see."""
    hashed = hashlib.sha256()
    parts = (content.subject, content.text, content.html, content.template_id, *content.template_variables.values())
    for part in parts:
        raw = (part or "").encode()
        hashed.update(len(raw).to_bytes(8, "big") + raw)
    return hashed.hexdigest()
