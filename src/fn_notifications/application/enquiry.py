"""Asking providers about attempts that nobody reports on: outside every transaction, within a deadline."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import attrgetter

from attrs import evolve, field, frozen

from fn_notifications.application.ports.history import History
from fn_notifications.application.ports.lookup import (
    LONGEST_CALL,
    NOTHING,
    SKEW,
    UNANSWERED,
    Knowledge,
    Known,
    Lookup,
    Question,
)
from fn_notifications.application.ports.people import OptOut, People
from fn_notifications.application.ports.sending import ContentError, Renderer
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.application.ports.vault import VaultError
from fn_notifications.domain.address import Address, Channel
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.events import Attempt, Evidence
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.preferences import UserRef
from fn_notifications.domain.remedy import unreported

Heard = Mapping[DeliveryKey, Mapping[int, Knowledge]]
"""By delivery and attempt number. A delivery that is not in it was not looked at."""

_RECENT = 50
"""Of a person's notifications, among which another message with the same text is looked for."""
_SHARING = 10
"""People at one address among whom it is looked for. With more of them, nothing is found by its text."""


@frozen(kw_only=True)
class _Matter:
    notification: Notification = field(repr=False)
    delivery: Delivery
    attempt: Attempt
    question: Question = field(repr=False)


@frozen(kw_only=True)
class Enquiry:
    """Asks. `lookups` are by route."""

    lookups: Mapping[str, Lookup]
    history: History
    people: People
    renderer: Renderer
    telemetry: Telemetry
    deadline: float = 10.0
    """Seconds for all questions of a round: a provider that hangs must not keep upkeep from the rest of its work."""
    most: int = 100
    """Notifications asked about in one round."""

    async def about(self, keys: Collection[DeliveryKey]) -> Heard:
        """What providers know of the attempts that these deliveries wait for a word about.

        Attempts whose provider cannot be asked are left out. An address that turns out to have opted out is
        suppressed.
        """
        if not self.lookups:
            return {}
        heard: dict[DeliveryKey, dict[int, Knowledge]] = {}
        matters: list[_Matter] = []
        place = attrgetter("tenant", "notification_id")
        for (tenant, id_), group in islice(groupby(sorted(keys, key=place), key=place), self.most):
            heard |= {key: {} for key in group}
            try:
                story = await self.history.story(tenant, id_)
                matters += await self._matters(story.notification, heard) if story else ()
            except VaultError:
                self.telemetry.log("error", "doubts.unreadable", notification=id_.hex)
        routes = sorted({one.attempt.route for one in matters})
        rounds = [self._ask(route, [one for one in matters if one.attempt.route == route]) for route in routes]
        told = [answer for answers in await asyncio.gather(*rounds) for answer in answers]
        answered = [(one, await self._sure(one, knowledge)) for one, knowledge in told]
        for one, knowledge in answered:
            heard[one.delivery.key][one.attempt.no] = knowledge
        await self._suppress([one for one, knowledge in answered if knowledge.opted_out])
        return heard

    async def _matters(self, notification: Notification, wanted: Collection[DeliveryKey]) -> list[_Matter]:
        return [
            _Matter(
                notification=notification,
                delivery=delivery,
                attempt=attempt,
                question=await self._question(notification, delivery, attempt),
            )
            for delivery in notification.deliveries
            if delivery.key in wanted
            for attempt in unreported(delivery)
            if attempt.route in self.lookups
        ]

    async def _question(self, notification: Notification, delivery: Delivery, attempt: Attempt) -> Question:
        """Without the provider's id the message is found by its text, if no other message can be taken for it."""
        question = Question(
            attempt_id=attempt.id,
            channel=delivery.channel,
            started_at=attempt.started_at,
            provider_id=attempt.provider_id,
            to=await self._address(notification, delivery.channel),
        )
        text = self._text(notification, delivery.channel)
        if attempt.provider_id or question.to is None or text is None:
            return question
        # The provider lists by address: what it lists may have been for anybody who shares this one.
        user = notification.user
        sharing = await self.people.sharing(user.tenant, delivery.channel, question.to, _SHARING + 1)
        if len(sharing) > _SHARING:
            return question
        recent = [one for each in dict.fromkeys([user, *sharing]) for one in await self._recent(each)]
        others = [(owner, one) for owner, one in _attempts(recent, delivery.channel) if one.id != attempt.id]
        rivals = [owner for owner, one in others if _may_be_taken_for(one, attempt)]
        if any(self._text(owner, delivery.channel) == text for owner in rivals):
            return question
        return evolve(question, text=text, taken=frozenset(one.provider_id for _, one in others if one.provider_id))

    async def _recent(self, user: UserRef) -> Sequence[Notification]:
        return await self.history.recent(user.tenant, _RECENT, user_id=user.user_id)

    async def _address(self, notification: Notification, channel: Channel) -> Address | None:
        """Where the person is written to now; if that has changed since the call, nothing will be found there."""
        dossier = (await self.people.load([notification.user])).dossiers.get(notification.user)
        point = dossier.person.contacts.get(channel) if dossier else None
        return point.address if point else None

    def _text(self, notification: Notification, channel: Channel) -> str | None:
        """The same bytes as were sent: rendering is deterministic."""
        try:
            return self.renderer.render(
                notification.type,
                channel,
                notification.variables,
                language=notification.language,
                timezone=notification.timezone,
                version=notification.catalogue,
            ).text
        except ContentError:
            return None

    async def _ask(self, route: str, matters: Sequence[_Matter]) -> Sequence[tuple[_Matter, Knowledge]]:
        answered: list[tuple[_Matter, Knowledge]] = [(one, UNANSWERED) for one in matters]
        try:
            async with asyncio.timeout(self.deadline):
                answers = await self.lookups[route].ask([one.question for one in matters])
            answered = list(zip(matters, answers, strict=True))
        except TimeoutError:
            self.telemetry.log("warning", "doubts.not_answered", route=route)
        except Exception as error:  # noqa: BLE001 - a lookup that breaks its contract must not stop upkeep
            self.telemetry.log("error", "lookup.broke_contract", route=route, error=type(error).__name__)
        for _, knowledge in answered:
            self.telemetry.count("doubts.asked", route=route, answer=knowledge.known)
        return answered

    async def _sure(self, matter: _Matter, knowledge: Knowledge) -> Knowledge:
        """What was found by its text, if no other message can be taken for it still: one may have gone out since."""
        if knowledge.known is not Known.FOUND or matter.question.text is None:
            return knowledge
        try:
            again = await self._question(matter.notification, matter.delivery, matter.attempt)
        except VaultError:
            return UNANSWERED
        return NOTHING if again.text is None or knowledge.provider_id in again.taken else knowledge

    async def _suppress(self, refused: Sequence[_Matter]) -> None:
        """The provider knows of a STOP that we missed."""
        opt_outs = [
            OptOut(
                tenant=one.delivery.key.tenant,
                channel=one.question.channel,
                address=one.question.to,
                cause="stop",
                at=one.question.started_at,
            )
            for one in refused
            if one.question.to is not None
        ]
        if opt_outs:
            await self.people.suppress(opt_outs)


def _attempts(notifications: Sequence[Notification], channel: Channel) -> Iterator[tuple[Notification, Attempt]]:
    for notification in notifications:
        for delivery in notification.deliveries:
            if delivery.channel == channel:
                yield from ((notification, attempt) for attempt in delivery.attempts)


def _may_be_taken_for(other: Attempt, attempt: Attempt) -> bool:
    """Whether the provider may hold a message of another attempt, nameless to us, from about the same time."""
    near = abs(other.started_at - attempt.started_at) <= LONGEST_CALL + SKEW
    unsent = other.evidence in (Evidence.UNSENT, Evidence.REFUSED) and not other.ruled
    return near and other.provider_id is None and not unsent
