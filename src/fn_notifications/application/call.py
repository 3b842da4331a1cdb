"""One call: render, hand to the provider within the deadline, turn whatever happens into an answer."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from attrs import frozen

from fn_notifications.application.ports.circuit import Circuit, CircuitState
from fn_notifications.application.ports.deliveries import Answer, Begun
from fn_notifications.application.ports.people import OptOut
from fn_notifications.application.ports.sending import Content, ContentError, Message, Renderer, Sender
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import Policy
from fn_notifications.domain.commands import Record
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope
from fn_notifications.domain.routing import doubt_grace

_UNFIT: Final = Outcome(kind=OutcomeKind.REFUSED, scope=Scope.CONTENT, code="template")


@frozen(kw_only=True)
class Lane:
    """One channel's routes, by name and in order of failover, and what they may use."""

    channel: Channel
    routes: Mapping[str, Sender]
    slots: int = 10
    """Calls on the wire at once."""
    deadline: float = 30.0
    """Seconds, in all, for one call."""


@frozen(kw_only=True)
class Caller:
    """Makes the calls."""

    renderer: Renderer
    policy: Policy
    circuit: Circuit
    telemetry: Telemetry
    chance: Callable[[], float]
    clock: Callable[[], datetime]

    async def call(self, lane: Lane, begun: Begun) -> Answer:
        """Send what was begun. Never raises: being cancelled is an answer too, the call may have been acted on."""
        attempt = begun.delivery.attempts[-1]
        content = self._render(begun)
        if content is None:
            return self._answer(begun, _UNFIT, None)
        point = begun.person.contacts[begun.delivery.channel]
        if point.address is None:  # the gate looked, under lock, a moment ago
            return self._answer(begun, Outcome(kind=OutcomeKind.UNSENT, code="no_address"), None)
        message = Message(
            attempt_id=attempt.id,
            channel=begun.delivery.channel,
            to=point.address,
            content=content,
            notification_type=begun.notification.type,
        )
        if self.circuit.state(attempt.route, self.clock()) is CircuitState.HALF_OPEN:
            self.circuit.probing(attempt.route, self.clock())
        started = asyncio.get_running_loop().time()
        outcome = await self._send(lane.routes[attempt.route], message, lane.deadline)
        self.telemetry.observe(
            "provider.call", asyncio.get_running_loop().time() - started, route=attempt.route, outcome=outcome.kind
        )
        self._judge(attempt.route, outcome)
        return self._answer(begun, outcome, digest_of(content))

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

    def _judge(self, route: str, outcome: Outcome) -> None:
        """What an outcome says about the route: a stop of ours says nothing, a pause asked for is no failure."""
        now = self.clock()
        about_route = outcome.scope in (Scope.ROUTE, Scope.ACCOUNT)
        before = self.circuit.state(route, now)
        if outcome.kind is OutcomeKind.UNSENT and about_route and outcome.retry_after:
            self.circuit.pause(route, now, outcome.retry_after)
        elif (outcome.kind is OutcomeKind.UNSENT and about_route) or (
            outcome.kind is OutcomeKind.IN_DOUBT and outcome.code != "stopped"
        ):
            self.circuit.failed(route, now)
        elif outcome.kind is not OutcomeKind.IN_DOUBT:
            self.circuit.succeeded(route, now)
        if before is not CircuitState.OPEN and self.circuit.state(route, now) is CircuitState.OPEN:
            self.telemetry.log("warning", "circuit.opened", route=route, last=outcome.code)

    def _answer(self, begun: Begun, outcome: Outcome, digest: str | None) -> Answer:
        delivery = begun.delivery
        attempt = delivery.attempts[-1]
        grace = doubt_grace(delivery.channel, self.policy, now=attempt.started_at, expires_at=delivery.expires_at)
        record = Record(
            no=attempt.no,
            outcome=outcome,
            retry=self.policy.retry,
            chance=self.chance(),
            grace=grace,
            digest=digest,
        )
        return Answer(lease=begun.lease, record=record, opt_out=_opt_out(begun, outcome, attempt.started_at))


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
