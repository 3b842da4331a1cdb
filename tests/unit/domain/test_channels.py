"""Rule 2, channels: those the caller named, else the person's choice for the type, else the type's own."""

from datetime import timedelta

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Channel
from fn_notifications.domain.catalogue import CHANNELS, NotificationType, Policy, Priority
from fn_notifications.domain.decision import Verdict
from fn_notifications.domain.notification import Notification, Request
from fn_notifications.domain.preferences import Person
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routing import plan
from fn_notifications.testing.strategies import channels, notification_types, people, requests, zone

POLICY = Policy(zones=zone)
some_channels = st.lists(channels(), min_size=1, unique=True).map(tuple)
calm_types = notification_types().map(lambda type_: evolve(type_, priority=Priority.NORMAL))


def planned(request: Request, type_: NotificationType, person: Person) -> Notification:
    """Planned the moment the event happens."""
    type_ = evolve(type_, name=request.type)
    return plan(request, type_, person, POLICY, request.event_at, chance=0.0, catalogue="1")


def considered(notification: Notification) -> tuple[Channel, ...]:
    return tuple(decision.channel for decision in notification.decisions)


@given(requests(), notification_types(), people(), some_channels)
def test_channels_the_caller_named_are_the_ones(
    request: Request, type_: NotificationType, person: Person, named: tuple[Channel, ...]
) -> None:
    notification = planned(evolve(request, channels=named), type_, person)
    assert considered(notification) == named
    assert notification.explicit


@given(requests(), calm_types, people(), some_channels)
def test_a_persons_choice_comes_before_the_types_channels_which_are_skipped_with_a_reason(
    request: Request, type_: NotificationType, person: Person, chosen: tuple[Channel, ...]
) -> None:
    choosy = evolve(person, type_channels={request.type: chosen})
    notification = planned(evolve(request, channels=None), type_, choosy)
    assert considered(notification) == tuple(dict.fromkeys((*chosen, *type_.channels)))
    for decision in notification.decisions:
        if decision.channel not in chosen:
            assert decision.verdict is Verdict.SKIP
    assert not notification.explicit


@given(requests(), calm_types, people())
def test_without_a_choice_the_types_channels_are_used(
    request: Request, type_: NotificationType, person: Person
) -> None:
    notification = planned(evolve(request, channels=None), type_, evolve(person, type_channels={}))
    assert considered(notification) == type_.channels


@given(requests(), notification_types(), people())
def test_an_urgent_type_considers_every_channel_its_own_first(
    request: Request, type_: NotificationType, person: Person
) -> None:
    notification = planned(evolve(request, channels=None), evolve(type_, priority=Priority.URGENT), person)
    assert considered(notification)[: len(type_.channels)] == type_.channels
    assert set(considered(notification)) == set(CHANNELS)


@given(requests(), notification_types(), people())
def test_a_channel_the_policy_does_not_have_is_not_considered(
    request: Request, type_: NotificationType, person: Person
) -> None:
    named = evolve(request, channels=(Channel("pigeon"), EMAIL))
    assert considered(planned(named, type_, person)) == (EMAIL,)


@given(requests(), notification_types(), people())
def test_a_channel_that_is_added_follows_the_same_rules(
    request: Request, type_: NotificationType, person: Person
) -> None:
    """Nothing in the rules knows the channels there are: a new one is a row of the policy."""
    pigeon = Channel("pigeon")
    policy = evolve(POLICY, channels={**CHANNELS, pigeon: evolve(CHANNELS[WHATSAPP], channel=pigeon)})
    contacts = {
        channel: evolve(person.contacts[SMS], channel=channel)
        for channel in (WHATSAPP, pigeon)
        if SMS in person.contacts
    }
    twin = evolve(person, contacts=contacts, type_channels={})
    named = evolve(request, channels=(WHATSAPP, pigeon))
    type_ = evolve(type_, name=request.type)
    one, other = plan(named, type_, twin, policy, request.event_at, chance=0.5, catalogue="1").decisions
    assert evolve(one, channel=pigeon) == other


@given(requests(), notification_types(), people(), st.timedeltas(timedelta(), timedelta(days=4)))
def test_nobody_goes_without_an_answer(
    request: Request, type_: NotificationType, person: Person, age: timedelta
) -> None:
    """Every channel considered has a decision, and every no has its reason."""
    type_ = evolve(type_, name=request.type)
    decisions = plan(request, type_, person, POLICY, request.event_at + age, chance=0.0, catalogue="1").decisions
    assert decisions
    assert all((decision.verdict is Verdict.SEND) != isinstance(decision.reason, Reason) for decision in decisions)
