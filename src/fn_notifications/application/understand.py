"""What an event means for people, by the catalogue alone: whom to tell, and what it teaches about whom. Pure."""

from attrs import field, frozen

from fn_notifications.application import translate
from fn_notifications.application.catalogue import Catalogue, EventRule
from fn_notifications.application.ports.events import Record
from fn_notifications.application.ports.intake import DeadEvent, DeadReason, Original, Position
from fn_notifications.application.translate import Envelope, Unreadable
from fn_notifications.domain.notification import Request
from fn_notifications.domain.preferences import Fact, UserRef


@frozen(kw_only=True)
class Understood:
    """A readable event. Without requests it tells nobody; then it may still teach facts."""

    envelope: Envelope
    original: Original
    known_type: bool = True
    requests: tuple[Request, ...] = ()
    facts: tuple[Fact, ...] = field(default=(), repr=False)
    direct: bool = False
    """Asked for by name, by a caller or an operator: not held for its age or for how many there are."""
    released: int | None = None
    """The id in quarantine that this is taken from."""


def understand(record: Record, catalogue: Catalogue, tenant: str) -> Understood | DeadEvent:
    """The meaning of a record, or why it has none."""
    original = Original(
        position=Position(topic=record.topic, partition=record.partition, offset=record.offset),
        timestamp=record.timestamp,
        value=record.value,
        key=record.key,
        headers=record.headers,
    )
    envelope = translate.read(record)
    if isinstance(envelope, Unreadable):
        return DeadEvent(reason=envelope.reason, original=original, detail=envelope.detail)
    rule = catalogue.events.get(envelope.type)
    if rule is None:
        return Understood(envelope=envelope, original=original, known_type=False)
    facts = _facts(rule, envelope, tenant)
    requests = _requests(rule, envelope, tenant)
    if isinstance(requests, Unreadable):
        return DeadEvent(reason=requests.reason, original=original, detail=requests.detail)
    if not requests and (rule.parties or not facts):
        return DeadEvent(reason=DeadReason.NO_RECIPIENT, original=original, detail=envelope.type[:100])
    return Understood(envelope=envelope, original=original, requests=requests, facts=facts)


def _requests(rule: EventRule, envelope: Envelope, tenant: str) -> tuple[Request, ...] | Unreadable:
    """One request per person and type: who stands in several places is told once."""
    requests: dict[tuple[str, str], Request] = {}
    for party in rule.parties:
        user_id = party.user_of(envelope.body)
        if user_id is None or (user_id, party.type) in requests:
            continue
        variables, missing = party.variables_of(envelope.body)
        if missing:
            return Unreadable(DeadReason.MISSING_VARIABLE, f"{party.type}: {', '.join(missing)}")
        requests[user_id, party.type] = Request(
            identity=envelope.identity,
            user=UserRef(tenant=tenant, user_id=user_id),
            type=party.type,
            event_at=envelope.at,
            key=party.key_of(envelope.body),
            variables=variables,
            correlation_id=envelope.correlation_id,
        )
    return tuple(requests.values())


def _facts(rule: EventRule, envelope: Envelope, tenant: str) -> tuple[Fact, ...]:
    return tuple(
        Fact(
            user=UserRef(tenant=tenant, user_id=user_id),
            source=learning.source,
            at=envelope.at,
            fields=fields,
        )
        for learning in rule.learns
        for user_id, fields in learning.facts(envelope.body)
    )
