"""Why will Mara get no text message now? The rules alone: no database, no clock, no chance, nothing sent."""

from datetime import UTC, datetime, time

from fn_notifications import (
    EMAIL,
    SMS,
    WHATSAPP,
    ContactPoint,
    EmailAddress,
    NotificationType,
    Person,
    PhoneNumber,
    Policy,
    QuietHours,
    Request,
    UserRef,
    plan,
)
from fn_notifications.adapters.zones.tz import zone
from fn_notifications.application.explain import sentence

NOW = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
MARA = UserRef(tenant="default", user_id="mara")

match = NotificationType(name="match", channels=(EMAIL, SMS, WHATSAPP))
mara = Person(
    user=MARA,
    contacts={
        EMAIL: ContactPoint(channel=EMAIL, address=EmailAddress("mara@example.com")),
        SMS: ContactPoint(channel=SMS, address=PhoneNumber("+15005550106")),
        WHATSAPP: ContactPoint(channel=WHATSAPP, address=PhoneNumber("+15005550106"), enabled=True),
    },
    timezone="Europe/Berlin",
    quiet_hours=QuietHours(start=time(22), end=time(7)),
)
request = Request(identity=b"event-1", user=MARA, type="match", event_at=NOW)

notification = plan(request, match, mara, Policy(zones=zone), NOW, chance=0.5, catalogue="example")
for decision in notification.decisions:
    print(sentence(decision))
