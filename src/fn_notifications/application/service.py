"""What callers of the engine use: HTTP, the command line, and anybody who imports it as a library."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from attrs import field, frozen

from fn_notifications.application.errors import Conflict
from fn_notifications.application.explain import Explanation, explain, placed, sentence
from fn_notifications.application.intake import Intake
from fn_notifications.application.ports.deliveries import Deliveries
from fn_notifications.application.ports.events import Record
from fn_notifications.application.ports.history import Doubtful, History, Story
from fn_notifications.application.ports.intake import DeadEvent, EventOutcome, Hold, Original, Position
from fn_notifications.application.ports.people import People
from fn_notifications.application.ports.routes import Routes
from fn_notifications.application.preferences import PreferencesFormat
from fn_notifications.application.rulings import count_ruling
from fn_notifications.application.translate import Envelope
from fn_notifications.application.understand import Understood, understand
from fn_notifications.application.waiting import waits
from fn_notifications.domain.address import Channel, destination
from fn_notifications.domain.commands import Cancel, Resolve
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.errors import IllegalTransition
from fn_notifications.domain.events import Ruling
from fn_notifications.domain.identity import digest, event_identity
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification, Request
from fn_notifications.domain.preferences import Fact, Profile, Source, UserRef, merge
from fn_notifications.domain.reasons import SENTENCES

_DECISIONS: Final = 8
_API: Final = "api"


class UnknownType(ValueError):
    """No such notification type in the catalogue."""


class MissingVariables(ValueError):
    """The type needs variables that were not given. `names` lists them."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"missing variables: {', '.join(names)}")
        self.names = tuple(names)


class Duplicate(Exception):
    """The same thing was said within the type's window. `first` is the notification that said it."""

    def __init__(self, first: UUID) -> None:
        super().__init__(f"a repetition of notification {first}")
        self.first = first


class IdReused(Exception):
    """The same id was used for something else."""


@frozen(kw_only=True)
class Answer:
    """What would become of an event, person by person; nothing was sent or stored."""

    outcome: EventOutcome
    notifications: tuple[Notification, ...] = field(default=(), repr=False)
    holds: tuple[Hold, ...] = ()
    reason: str | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """Every decision in words."""
        if self.reason:
            return (f"{self.outcome}: {self.reason}",)
        if not self.notifications and not self.holds:
            return (f"{self.outcome}: it tells nobody",)
        return (
            *(f"{one.user.user_id}, {one.type}: held: {SENTENCES[one.reason]}" for one in self.holds),
            *(
                f"{one.user.user_id}, {one.type}: {sentence(decision)}"
                for one in self.notifications
                for decision in one.decisions
            ),
        )


@frozen(kw_only=True)
class Notifications:
    """The engine, as its callers see it. One tenant."""

    intake: Intake
    people: People
    deliveries: Deliveries
    history: History
    routes: Routes
    lanes: Mapping[Channel, Sequence[str]]
    """The routes of each channel, in order of failover."""
    preferences: PreferencesFormat

    async def send(
        self,
        user_id: str,
        type_: str,
        variables: Mapping[str, Any],
        *,
        id_: str,
        key: str | None = None,
        channels: Sequence[Channel] | None = None,
        scheduled_at: datetime | None = None,
        correlation_id: str | None = None,
    ) -> Notification:
        """Plan and store one notification; sending it is the dispatcher's work.

        Idempotent by `id_`: the same again returns the notification it made. Raises UnknownType, MissingVariables,
        Duplicate when user, type and key repeat another one, and IdReused for an id that asked for something else.
        """
        if type_ not in self.intake.catalogue.types:
            raise UnknownType(type_)
        accepted, missing = self.intake.catalogue.accept(type_, variables)
        if missing:
            raise MissingVariables(missing)
        user = UserRef(tenant=self.intake.tenant, user_id=user_id)
        now = (await self.people.load(())).now
        request = Request(
            identity=event_identity(_API, type_, f"{user_id}/{id_}"),
            user=user,
            type=type_,
            event_at=max(now, scheduled_at or now),
            key=key,
            variables=accepted,
            channels=tuple(channels) if channels is not None else None,
            scheduled_at=scheduled_at,
            correlation_id=correlation_id,
        )
        return await self._submitted(request)

    async def _submitted(self, request: Request) -> Notification:
        body = {
            "variables": request.variables,
            "channels": request.channels,
            "key": request.key,
            "scheduled_at": request.scheduled_at and request.scheduled_at.isoformat(),
        }
        said = json.dumps(body, sort_keys=True)
        envelope = Envelope(
            type=request.type,
            identity=request.identity,
            digest=digest(said),
            at=request.event_at,
            correlation_id=request.correlation_id,
            body=request.variables,
        )
        original = Original(
            position=Position(topic=_API, partition=0, offset=0), timestamp=request.event_at, value=said.encode()
        )
        asked = Understood(envelope=envelope, original=original, requests=(request,), direct=True)
        report = await self.intake.submit([asked])
        if EventOutcome.DEAD_LETTERED in report.outcomes:
            raise IdReused
        became = (*report.notifications, *report.duplicates.values(), *report.repeated.get(request.identity, ()))
        story = await self.history.story(request.user.tenant, became[0])
        if story is None or story.notification.identity != request.identity:
            raise Duplicate(became[0])
        return story.notification

    async def dry_run(self, record: Record) -> Answer:
        """What would happen to an event now, for whom, and why. Sends and stores nothing.

        It knows no duplicates: whether the same was said before is decided when it is stored.
        """
        understood = understand(record, self.intake.catalogue, self.intake.tenant)
        if isinstance(understood, DeadEvent):
            detail = f" ({understood.detail})" if understood.detail else ""
            return Answer(outcome=EventOutcome.DEAD_LETTERED, reason=f"{understood.reason}{detail}")
        (event,) = (await self.intake.plan([understood])).events
        notifications = tuple(proposal.notification for proposal in event.proposals)
        outcome = EventOutcome.PLANNED if notifications else EventOutcome.IGNORED
        return Answer(
            outcome=EventOutcome.HELD if event.holds else outcome, notifications=notifications, holds=event.holds
        )

    async def explain(self, notification_id: UUID) -> Explanation | None:
        """Why it is where it is; None when there is no such notification."""
        story = await self.history.story(self.intake.tenant, notification_id)
        return explain(story, await self._waits(story)) if story else None

    async def _waits(self, story: Story) -> Sequence[str]:
        pending = [delivery for delivery in placed(story) if delivery.status is Status.PENDING]
        if not pending:
            return ()
        seen, user = await self.routes.board(), story.notification.user
        contacts = (await self.people.load([user])).of(user).person.contacts
        return [
            f"{delivery.channel}: {sentence}"
            for delivery in pending
            for point in [contacts.get(delivery.channel)]
            for sentence in waits(
                delivery,
                story.notification.type,
                self.lanes.get(delivery.channel, ()),
                destination(point.address) if point else None,
                seen,
            )
        ]

    async def cancel(self, notification_id: UUID) -> Sequence[Delivery]:
        """Stop what has not been sent. Returns the deliveries that were stopped."""
        story = await self.history.story(self.intake.tenant, notification_id)
        if story is None:
            return ()
        keys = [delivery.key for delivery in story.notification.deliveries]
        return await self.deliveries.change(keys, lambda *_: Cancel())

    async def resolve(
        self,
        notification_id: UUID,
        ruling: Ruling,
        note: str,
        *,
        by: str = "",
        no: int | None = None,
        channel: Channel | None = None,
    ) -> Delivery | None:
        """Decide about a delivery in doubt, named by its number or channel; None when there is none.

        `note` says why, `by` who decided; both are kept with it.

        With `resend` one more attempt starts if the rules, run again, still allow it; that goes for a delivery whose
        every try was refused, too. Raises IllegalTransition when there is nothing to decide (any more), and
        InvalidValue for a note that is not one short line.
        """
        command = Resolve(ruling=ruling, note=note, by=by)
        story = await self.history.story(self.intake.tenant, notification_id)
        deliveries = story.notification.deliveries if story else ()
        named = [one for one in deliveries if one.key.no == no or one.channel == channel]
        if not named:
            return None
        (resolved,) = await self.deliveries.change([named[0].key], lambda *_: command) or (None,)
        if resolved is None:
            raise IllegalTransition(f"delivery {named[0].key.event_key} is on the wire")
        count_ruling(self.intake.telemetry, resolved)
        return resolved

    async def in_doubt(self, limit: int, *, held: bool = True) -> Sequence[Doubtful]:
        """What waits for an operator, the oldest event first; without `held` also what is left to a report for now."""
        return await self.history.doubtful(self.intake.tenant, limit, held=held)

    async def set_preferences(
        self, user_id: str, document: Mapping[str, Any], *, replace: bool = False
    ) -> Mapping[str, Any]:
        """Store what a person set and return all that now holds. `replace` takes back what the document leaves out.

        Raises InvalidPreferences, having stored nothing.
        """
        fields = self.preferences.read(document)
        if replace:
            fields = {**self.preferences.blank(), **fields}
        user = UserRef(tenant=self.intake.tenant, user_id=user_id)
        for decision in range(1, _DECISIONS + 1):
            loaded = await self.people.load([user])
            profile = loaded.of(user).profile
            fact = Fact(user=user, source=Source.USER, at=_after(profile, fields, loaded.now), fields=fields)
            changed = merge(profile, [fact])
            try:
                if changed is not profile:
                    await self.people.save([changed])
            except Conflict:
                if decision == _DECISIONS:
                    raise
            else:
                if self.intake.cache:
                    await self.intake.cache.drop([user])
                return self.preferences.write(changed)
        raise AssertionError  # pragma: no cover - the loop returns or raises

    async def get_preferences(self, user_id: str) -> Mapping[str, Any] | None:
        """What holds for a person, as a document; None when nobody ever said anything."""
        profile = await self._profile(user_id)
        return self.preferences.write(profile) if profile.version else None

    async def _profile(self, user_id: str) -> Profile:
        user = UserRef(tenant=self.intake.tenant, user_id=user_id)
        return (await self.people.load([user])).of(user).profile


def _after(profile: Profile, fields: Mapping[str, Any], now: datetime) -> datetime:
    """Now, but later than all that is held of these fields: what a person says last counts, whatever the clock did."""
    held = [profile.fields[name].at for name in fields if name in profile.fields]
    return max([now, *(at + timedelta(microseconds=1) for at in held)])
