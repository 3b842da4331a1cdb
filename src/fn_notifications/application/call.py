"""One call: render, hand to the provider within the deadline, turn whatever happens into answers, one per message."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Any, Final

from attrs import Factory, field, frozen

from fn_notifications.application.doubts import Doubts
from fn_notifications.application.ports.deliveries import Answer, Begun
from fn_notifications.application.ports.people import OptOut
from fn_notifications.application.ports.sending import Content, ContentError, Message, Renderer, Sender
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import Policy
from fn_notifications.domain.commands import Record
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope, Uncalled

_UNFIT: Final = Outcome(kind=OutcomeKind.REFUSED, scope=Scope.CONTENT, code=Uncalled.TEMPLATE)
_NO_ADDRESS: Final = Outcome(kind=OutcomeKind.UNSENT, code=Uncalled.NO_ADDRESS)
_LEASE_OVER: Final = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code=Uncalled.LEASE_OVER)


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
    """Messages a second by each route, in all processes together; None: as many as there are."""
    batches: Mapping[str, int] = field(factory=dict)
    """How many messages a route's calls may carry; one where it is not named."""

    def batch(self, route: str) -> int:
        """How many messages a call by this route may carry."""
        return self.batches.get(route, 1)


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


@frozen
class _Made:
    """A message and the digest of what it says, or why there is none."""

    message: Message | Outcome
    digest: str | None


@frozen(kw_only=True)
class Caller:
    """Makes the calls."""

    renderer: Renderer
    policy: Policy
    telemetry: Telemetry
    chance: Callable[[], float]
    doubts: Doubts = field(default=Factory(lambda self: Doubts(policy=self.policy), takes_self=True))

    def call(self, lane: Lane, batch: Sequence[Begun], *, until: float = inf) -> Coroutine[Any, Any, Sequence[Called]]:
        """Make the messages of what was begun on one route, at once, and send them when awaited: made in a row, the
        messages of several calls cost much less. Answers in the same order, one each. A message that cannot be made
        keeps no other from going.

        Never raises: being cancelled is an answer too, the call may have been acted on. `until`: when the leases are
        over, by the loop's time. A call that might outlast them is not made: by then somebody else has taken over (a
        worker that was frozen).
        """
        return self._called(lane, batch, [self._made(begun) for begun in batch], until)

    async def _called(
        self, lane: Lane, batch: Sequence[Begun], made: Sequence[_Made], until: float
    ) -> Sequence[Called]:
        messages = [one.message for one in made if isinstance(one.message, Message)]
        in_time = asyncio.get_running_loop().time() + lane.deadline <= until
        route = batch[0].delivery.attempts[-1].route
        if messages and not in_time:
            self.telemetry.count("calls.lease_over", route=route)
        outcomes = iter(await self._timed(lane, route, messages) if in_time else [_LEASE_OVER] * len(messages))
        return [
            self._answer(begun, next(outcomes), one.digest if in_time else None, asked=in_time)
            if isinstance(one.message, Message)
            else self._answer(begun, one.message)
            for begun, one in zip(batch, made, strict=True)
        ]

    def _made(self, begun: Begun) -> _Made:
        message = self._message(begun)
        return _Made(message, digest_of(message.content) if isinstance(message, Message) else None)

    def _message(self, begun: Begun) -> Message | Outcome:
        content = self._render(begun)
        if content is None:
            return _UNFIT
        point = begun.person.contacts[begun.delivery.channel]
        if point.address is None:  # the gate looked, under lock, a moment ago
            return _NO_ADDRESS
        return Message(
            attempt_id=begun.delivery.attempts[-1].id,
            channel=begun.delivery.channel,
            to=point.address,
            content=content,
            notification_type=begun.notification.type,
        )

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
        except Exception as error:  # noqa: BLE001 - a renderer that breaks its contract must not hold up other calls
            self.telemetry.log("error", "renderer.broke_contract", error=type(error).__name__)
        return None

    async def _timed(self, lane: Lane, route: str, messages: Sequence[Message]) -> Sequence[Outcome]:
        if not messages:
            return ()
        started = asyncio.get_running_loop().time()
        outcomes = await self._send(lane.routes[route], messages, lane.deadline)
        took = asyncio.get_running_loop().time() - started
        for kind in dict.fromkeys(outcome.kind for outcome in outcomes):
            self.telemetry.observe("provider.call", took, route=route, outcome=kind)
        return outcomes

    async def _send(self, sender: Sender, messages: Sequence[Message], deadline: float) -> Sequence[Outcome]:
        try:
            async with asyncio.timeout(deadline):
                outcomes = await sender.send(messages)
        except TimeoutError:
            doubt = Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="deadline")
        except asyncio.CancelledError:
            doubt = Outcome(kind=OutcomeKind.IN_DOUBT, code="stopped")
        except Exception as error:  # noqa: BLE001 - a sender that breaks its contract must not lose the attempts
            self.telemetry.log("error", "sender.broke_contract", error=type(error).__name__)
            doubt = Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="sender_error")
        else:
            if len(outcomes) == len(messages):
                return outcomes
            self.telemetry.log("error", "sender.broke_contract", error="outcomes")
            doubt = Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="sender_error")
        return [doubt] * len(messages)

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
        return Called(answer=Answer(begun=begun, record=record, opt_out=opt_out), asked=asked)


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
        raw = (part or "").encode("utf-8", "surrogatepass")
        hashed.update(len(raw).to_bytes(8, "big") + raw)
    return hashed.hexdigest()
