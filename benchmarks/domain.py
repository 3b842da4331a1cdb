"""The rules alone: plan a notification, begin its deliveries, record their answers. No I/O."""

import time
from datetime import UTC, datetime, timedelta

from benchmarks.figures import Figures
from fn_notifications import EMAIL, SMS, NotificationType, Outcome, OutcomeKind, Policy, Request, UserRef, gate, plan
from fn_notifications.adapters.zones.tz import zone
from fn_notifications.domain.commands import Begin, Record
from fn_notifications.domain.delivery import decide
from fn_notifications.domain.preferences import Fact, Profile, Source, contact_point, merge, person

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def domain(count: int) -> Figures:
    """Notifications of two channels, one unit each."""
    policy = Policy(zones=zone)
    type_ = NotificationType(name="shipped", channels=(EMAIL, SMS))
    user = UserRef(tenant="default", user_id="ana")
    said = {
        "email": "ana@example.com",
        "phone": "+15005550006",
        "timezone": "America/Bogota",
        "quiet_hours": {"start": "22:00", "end": "07:00"},
    }
    profile = merge(Profile(user=user), [Fact(user=user, source=Source.USER, at=NOW, fields=said)])
    contacts = {one: contact_point(profile, one, rules.address) for one, rules in policy.channels.items()}
    ana = person(user, profile.said, contacts)
    accepted = Outcome(kind=OutcomeKind.ACCEPTED)
    started, cpu = time.perf_counter(), time.process_time()
    for number in range(count):
        request = Request(identity=number.to_bytes(16, "big"), user=user, type="shipped", event_at=NOW)
        notification = plan(request, type_, ana, policy, NOW, chance=0.5, catalogue="1")
        for delivery in notification.deliveries:
            decision = gate(type_, delivery.channel, ana, policy, NOW, expires_at=delivery.expires_at, chance=0.5)
            begun = delivery.with_events(
                decide(delivery, Begin(gate=decision, attempt_id="a", route="r/x", epoch=1), NOW)
            )
            record = Record(no=1, outcome=accepted, retry=policy.retry, chance=0.5, grace=timedelta(minutes=15))
            begun.with_events(decide(begun, record, NOW))
    seconds, used = time.perf_counter() - started, time.process_time() - cpu
    return Figures(rate=count / seconds, cpu_ms={"worker": used / count * 1000})
