"""What nobody else would come back for: dead leases with a call on the wire, doubts whose grace is over, what a
provider took and never reported on, and what waited, for whatever reason, until its time was over.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from attrs import Factory, field, frozen

from fn_notifications.application.catalogue import Catalogue
from fn_notifications.application.doubts import Doubts
from fn_notifications.application.enquiry import Enquiry, Heard
from fn_notifications.application.ports.deliveries import Deliveries
from fn_notifications.application.ports.lookup import UNANSWERED, Knowledge, Known
from fn_notifications.application.ports.routes import Routes
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.application.waiting import kept
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import InDoubt, Policy
from fn_notifications.domain.commands import Ask, Command, Expire, Report, Rescue, Settle, Wait
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.events import Attempt, Finding
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.remedy import next_poll, remedy, unreported, wait_for_answer

Answers = Sequence[tuple[Attempt, Knowledge]]

_NOTHING_HEARD: Final[Heard] = MappingProxyType({})


@frozen(kw_only=True)
class Upkeep:
    """Rescues, asks, settles and expires."""

    deliveries: Deliveries
    routes: Routes
    lanes: Mapping[Channel, Sequence[str]]
    """Each channel's routes."""
    catalogue: Catalogue
    policy: Policy
    telemetry: Telemetry
    doubts: Doubts = field(default=Factory(lambda self: Doubts(policy=self.policy), takes_self=True))
    enquiry: Enquiry | None = None
    """None: no provider can be asked."""
    batch: int = 500

    async def once(self) -> int:
        """One round. Returns how many deliveries changed."""
        return await self._expire() + await self._attend()

    async def _expire(self) -> int:
        """End what is too late to be sent, though nobody may claim it: its lane is held, say, or every route shut."""
        outlived = await self.deliveries.outlived(self.batch)
        if not outlived:
            return 0
        seen = await self.routes.board()

        def end(notification: Notification, delivery: Delivery, _: datetime) -> Expire:
            ways = self.lanes.get(delivery.channel, ())
            return Expire("; ".join(kept(delivery, notification.type, ways, seen)))

        expired = await self.deliveries.change(outlived, end)
        for delivery in expired:
            self.telemetry.count("deliveries.upkept", channel=delivery.channel, status=delivery.status)
        return len(expired)

    async def _attend(self) -> int:
        overdue = await self.deliveries.overdue(self.batch)
        if not overdue:
            return 0
        await self.doubts.look()
        heard = await self.enquiry.about(overdue) if self.enquiry else _NOTHING_HEARD
        chosen: dict[DeliveryKey, tuple[Status | None, Command]] = {}

        def choose(notification: Notification, delivery: Delivery, now: datetime) -> Command | None:
            command = self.choose(notification, delivery, now, heard)
            if command:
                chosen[delivery.key] = delivery.status, command
            return command

        changed = await self.deliveries.change(overdue, choose)
        for delivery in changed:
            self._count(*chosen[delivery.key], delivery)
        return len(changed)

    def choose(
        self, notification: Notification, delivery: Delivery, now: datetime, heard: Heard = _NOTHING_HEARD
    ) -> Command | None:
        """What an overdue delivery needs, looked at under lock; nothing when somebody else was here first."""
        if delivery.calling:
            return Rescue(grace=self.doubts.grace(delivery, now=now))
        if delivery.due_at is None or delivery.due_at > now:
            return None
        asked = [one for one in unreported(delivery) if self.enquiry and one.route in self.enquiry.lookups]
        if asked and delivery.key not in heard:
            return None
        answers = [(one, heard[delivery.key].get(one.no, UNANSWERED)) for one in asked]
        if report := self._report(answers, now):
            return report
        if delivery.status is Status.SENT:
            return _poll(delivery, answers, now)
        return self._settle(notification, delivery, answers, now)

    def _report(self, answers: Answers, now: datetime) -> Report | None:
        """The most that is news."""
        news = [(one, told) for one, told in answers if told.evidence is not None and told.evidence > one.evidence]
        if not news:
            return None
        attempt, told = max(news, key=lambda one: one[1].evidence or 0)
        evidence = told.evidence or attempt.evidence
        finding = Finding(no=attempt.no, evidence=evidence, at=now, code=told.code, provider_id=told.provider_id)
        reason = Reason.OPTED_OUT if told.opted_out else None
        return Report(finding=finding, reason=reason, ask_after=self.doubts.ask_after(attempt.route))

    def _settle(self, notification: Notification, delivery: Delivery, answers: Answers, now: datetime) -> Command:
        """What the type says, unless a report may still come, or the provider could not be asked and still may be."""
        if now < (grace_over := self._grace_over(delivery, delivery.attempts[-1])):
            return Wait(grace_over)
        for attempt, told in answers:
            wait = self._patience(delivery, attempt, now) if told.known is Known.UNANSWERED else None
            if wait and now < delivery.expires_at:
                return Ask(no=attempt.no, answered=False, again=wait)
        type_ = self.catalogue.types.get(notification.type)
        chosen = remedy(type_.in_doubt if type_ else InDoubt.HOLD, notification, delivery)
        asked = [attempt.no for attempt, told in answers if told.known is not Known.UNANSWERED]
        return Settle(remedy=chosen, asked=asked[-1] if asked else None)

    def _patience(self, delivery: Delivery, attempt: Attempt, now: datetime) -> timedelta | None:
        settled_at = self._grace_over(delivery, attempt)
        return wait_for_answer(now - settled_at, delivery.expires_at - settled_at)

    def _grace_over(self, delivery: Delivery, attempt: Attempt) -> datetime:
        """By who is known to report now: that may be later than was thought when the doubt arose."""
        doubted_at = attempt.answered_at or attempt.started_at
        return doubted_at + self.doubts.grace(delivery, now=doubted_at)

    def _count(self, before: Status | None, command: Command, after: Delivery) -> None:
        self.telemetry.count("deliveries.upkept", channel=after.channel, status=after.status)
        if before is not Status.IN_DOUBT or after.status is Status.IN_DOUBT:
            return
        by = "look_up" if isinstance(command, Report) else "expiry" if after.status is Status.UNCONFIRMED else "policy"
        self.telemetry.count("doubts.resolved", by=by)
        if after.status is Status.PENDING:
            self.telemetry.count("duplicates.possible", channel=after.channel)


def _poll(delivery: Delivery, answers: Answers, now: datetime) -> Ask | None:
    """Nothing is known that was not; ask again later, or never if the provider cannot be asked any more."""
    if not answers:
        return Ask(no=len(delivery.attempts), answered=False)
    attempt, told = answers[-1]
    age = now - (attempt.answered_at or attempt.started_at)
    return Ask(no=attempt.no, answered=told.known is not Known.UNANSWERED, again=next_poll(age))
