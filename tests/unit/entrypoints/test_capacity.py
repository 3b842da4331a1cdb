"""The calculator: values worked out by hand, and what must hold whatever is asked."""

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP
from fn_notifications.domain.errors import InvalidValue
from fn_notifications.entrypoints.capacity.demand import Demand
from fn_notifications.entrypoints.capacity.figures import Cost, Figures, Room, shipped
from fn_notifications.entrypoints.capacity.plan import Plan
from fn_notifications.entrypoints.capacity.sizing import plan_for
from fn_notifications.entrypoints.settings.variables import VARIABLES

FIGURES = Figures(
    measured="by hand",
    intake=Cost(service=0.5, postgres=0.1),
    dispatch=Cost(service=1.0, postgres=0.4),
    alone=Cost(service=1.2, postgres=0.5),
    together=Cost(service=0.21, postgres=0.104),
    messages_per_call=100,
    relay=Cost(service=0.05, postgres=0.02),
    report=Cost(service=0.2, postgres=0.1),
    delivery_room=Room(kept=3000, logged=6000),
    report_room=Room(kept=1000, logged=2000),
    resident_mb=90,
)
DEMAND = Demand(
    rate=1000,
    channels={EMAIL: 0.8, SMS: 0.4},
    batch=10,
    call_ms={EMAIL: 100, SMS: 300},
    reports=2,
    daily=None,
    retention=30,
    cores=2,
    utilisation=0.5,
    backlog=60_000,
)


def bounds(plan: Plan) -> dict[str, float]:
    return {bound.resource: bound.rate for bound in plan.bounds}


def test_work_is_what_events_deliveries_and_reports_come_to():
    work = {one.name: one.per_second for one in plan_for(DEMAND, FIGURES).work}

    assert work == pytest.approx({"intake": 1200, "email": 800, "sms": 400, "relay": 2400, "reports": 2400})


def test_what_is_never_reported_is_published_once():
    work = {one.name: one.per_second for one in plan_for(evolve(DEMAND, reports=0), FIGURES).work}

    assert (work["relay"], work["reports"]) == pytest.approx((1200, 0))


def test_events_that_make_nothing_are_taken_in_all_the_same():
    work = {one.name: one.per_second for one in plan_for(evolve(DEMAND, channels={SMS: 0.1}, call_ms={}), FIGURES).work}

    assert work["intake"] == 1000


def test_a_call_is_shared_by_the_messages_in_it():
    # Through 1.2 alone and 0.21 of a hundred: a message 0.2 and a call 1.0; PostgreSQL 0.1 and 0.4.
    for batch, service, postgres in ((1, 1.2, 0.5), (10, 0.3, 0.14), (100, 0.21, 0.104), (1000, 0.201, 0.1004)):
        cost = FIGURES.email(batch)
        assert (cost.service, cost.postgres) == pytest.approx((service, postgres))


def test_sharing_a_call_never_costs_more_where_noise_says_so():
    noisy = evolve(FIGURES, together=Cost(service=1.5, postgres=0.1))

    assert noisy.email(10).service == pytest.approx(1.2)


def test_a_message_never_costs_less_than_nothing():
    noisy = evolve(FIGURES, together=Cost(service=0.001, postgres=0.0))

    assert noisy.email(1000).service == pytest.approx(1.2 / 1000, rel=0.02)
    assert noisy.email(1000).postgres > 0


def test_cores_and_processes():
    plan = plan_for(DEMAND, FIGURES)

    # 1200 x 0.5 + 800 x 0.3 + 400 x 1.0 + 2400 x 0.05 + 2400 x 0.2 = 1840 ms in a second; half of a core may be busy.
    assert plan.service_cores == pytest.approx(1.84)
    assert (plan.processes, plan.machines, plan.settings["PROCESSES"]) == (4, 2, "2")
    # 1200 x 0.1 + 800 x 0.14 + 400 x 0.4 + 2400 x 0.02 + 2400 x 0.1 = 680 ms.
    assert plan.postgres_cores == pytest.approx(0.68)
    assert plan.postgres_cpus == 2
    assert (plan.memory_mb, plan.connections, plan.partitions) == (360, 40, 4)


def test_a_division_that_comes_out_even_is_not_rounded_up():
    figures = evolve(FIGURES, dispatch=Cost(service=4.2, postgres=4.2), intake=Cost(service=0, postgres=0))
    alone = evolve(DEMAND, channels={SMS: 1}, call_ms={}, reports=0, utilisation=0.6, cores=7)
    plan = plan_for(alone, evolve(figures, relay=Cost(service=0, postgres=0)))

    assert 4.2 / 0.6 > 7
    assert (plan.processes, plan.postgres_cpus) == (7, 7)


def test_every_machine_runs_as_many_processes():
    plan = plan_for(evolve(DEMAND, rate=1500, cores=4), FIGURES)

    # 2.76 busy cores want 6 processes: two machines, three on each.
    assert (plan.processes, plan.machines, plan.settings["PROCESSES"]) == (6, 2, "3")


def test_calls_on_the_wire_are_calls_a_second_times_seconds():
    email, sms = plan_for(DEMAND, FIGURES).lanes

    # 80 calls x 0.1 s, twice as many slots, over 4 processes: 4 would do, the default is more.
    assert (email.calls, email.on_the_wire, email.slots) == (80, pytest.approx(8), 10)
    # 400 calls x 0.3 s, twice as many, over 4 processes.
    assert (sms.calls, sms.on_the_wire, sms.slots) == (400, pytest.approx(120), 60)


def test_a_process_has_no_more_calls_on_the_wire_than_can_be_set():
    plan = plan_for(evolve(DEMAND, rate=100, channels={SMS: 1}, call_ms={SMS: 600_000}), FIGURES)

    # 60,000 calls, twice as many slots: 14 processes of 8,572, where CPU alone would take one.
    assert (plan.processes, plan.lanes[0].slots) == (14, 8572)


def test_defaults_stay_where_they_are_enough():
    settings = plan_for(evolve(DEMAND, rate=1), FIGURES).settings

    assert settings["OBAN_QUEUES"] == "default:10,notifications:20,retries:5"
    assert (settings["EMAIL_POOL_MAX_CONCURRENCY"], settings["SMS_POOL_MAX_CONCURRENCY"]) == ("10", "5")


def test_where_nothing_is_said_a_call_takes_a_fifth_of_a_second():
    plan = plan_for(evolve(DEMAND, channels={WHATSAPP: 0.1}, call_ms={}), FIGURES)

    assert plan.lanes[0].on_the_wire == pytest.approx(20)


def test_settings_say_what_the_plan_says():
    plan = plan_for(evolve(DEMAND, limits={SMS: 250.5}), FIGURES)

    assert plan.settings == {
        "PROCESSES": "2",
        "OBAN_QUEUES": "default:10,notifications:70,retries:5",
        "EMAIL_POOL_MAX_CONCURRENCY": "10",
        "EMAIL_BATCH": "10",
        "SMS_POOL_MAX_CONCURRENCY": "60",
        "SMS_RATE": "250.5",
        "POOL_SIZE": "10",
        "RETENTION_DAYS": "30",
    }


def test_an_account_that_takes_less_than_there_is_binds():
    plan = plan_for(evolve(DEMAND, limits={SMS: 250}), FIGURES)

    assert plan.lanes[1].excess == 150
    assert plan.bounds[0].resource == "the provider's limit for sms"
    assert plan.bounds[0].rate == pytest.approx(625)
    assert plan.drain_seconds is None


def test_an_account_that_takes_enough_does_not():
    plan = plan_for(evolve(DEMAND, limits={SMS: 400}), FIGURES)

    assert plan.lanes[1].excess == 0


def test_what_bends_first_is_what_is_used_up_first():
    plan = plan_for(DEMAND, FIGURES)

    assert bounds(plan) == pytest.approx(
        {
            "service CPU": 1000 * 4 / 1.84,
            "PostgreSQL CPU": 1000 * 2 / 0.68,
            "relay": 1000 / 0.12,
            "slots for email": 1000 * 40 / 8,
            "slots for sms": 1000 * 240 / 120,
        }
    )
    assert plan.bounds[0].resource == "slots for sms"
    assert plan.drain_seconds == pytest.approx(60)


def test_disk_and_log():
    plan = plan_for(DEMAND, FIGURES)

    # 1200 x 3000 + 2400 x 1000 bytes a second, all day, and for 30 days.
    assert plan.disk_per_day == pytest.approx(6e6 * 86_400)
    assert plan.disk_kept == pytest.approx(6e6 * 86_400 * 30)
    assert plan.wal_per_second == pytest.approx(1200 * 6000 + 2400 * 2000)


def test_a_day_may_hold_less_than_its_peak():
    assert plan_for(evolve(DEMAND, daily=1_000_000), FIGURES).disk_per_day == pytest.approx(6e6 * 1000)


@pytest.mark.parametrize(("told", "flag"), [("call_ms", "--call-ms"), ("limits", "--limits")])
def test_what_is_said_of_a_channel_that_is_not_used_is_refused(told, flag):
    with pytest.raises(InvalidValue, match=f"{flag} names whatsapp: name it in --channels too"):
        evolve(DEMAND, **{told: {WHATSAPP: 100}})


def demanded(day: float | None, **told) -> Demand:
    """`day`: as a part of the most it can be."""
    return Demand(daily=None if day is None else int(told["rate"] * 86_400 * day), **told)


demands = st.builds(
    demanded,
    rate=st.floats(0.001, 999_999),
    channels=st.dictionaries(st.sampled_from([EMAIL, SMS, WHATSAPP]), st.floats(0.0001, 100), min_size=1),
    batch=st.integers(1, 1000),
    reports=st.floats(0, 100),
    day=st.none() | st.floats(0, 1),
    retention=st.integers(1, 36_500),
    cores=st.integers(1, 256),
    utilisation=st.floats(0.05, 1),
    backlog=st.integers(1, 10**12),
)


@given(demand=demands)
def test_sizes_suffice_and_are_not_wasted(demand):
    plan = plan_for(demand, shipped())

    assert plan.processes >= 1
    assert plan.processes == plan.machines * int(plan.settings["PROCESSES"])
    assert int(plan.settings["PROCESSES"]) <= demand.cores
    assert plan.service_cores == pytest.approx(sum(one.per_second * one.cost.service for one in plan.work) / 1000)
    assert plan.postgres_cores == pytest.approx(sum(one.per_second * one.cost.postgres for one in plan.work) / 1000)
    assert plan.service_cores / plan.processes <= demand.utilisation + 1e-9
    assert plan.postgres_cores / plan.postgres_cpus <= demand.utilisation + 1e-9
    assert plan.postgres_cpus - 1 <= plan.postgres_cores / demand.utilisation
    for lane in plan.lanes:
        assert lane.on_the_wire / (lane.slots * plan.processes) <= demand.utilisation + 1e-6
    rates = [bound.rate for bound in plan.bounds]
    assert rates == sorted(rates)
    for name, rate in bounds(plan).items():
        assert name == "relay" or rate >= demand.rate * (1 - 1e-6)


@given(demand=demands, more=st.floats(1, 100))
def test_more_events_never_take_less(demand, more):
    assume(demand.rate * more <= 999_999)
    less, plan = plan_for(demand, shipped()), plan_for(evolve(demand, rate=demand.rate * more), shipped())

    for name in ("service_cores", "postgres_cores", "machines", "postgres_cpus", "wal_per_second"):
        assert getattr(plan, name) >= getattr(less, name) * (1 - 1e-9), name


@given(demand=demands)
def test_every_setting_can_be_set(demand):
    known = {variable.name: variable for variable in VARIABLES}
    plan = plan_for(evolve(demand, limits=dict.fromkeys(demand.channels, 12.345678)), shipped())

    for name, value in plan.settings.items():
        known[name].kind.read(value)
    queues = known["OBAN_QUEUES"].kind.read(plan.settings["OBAN_QUEUES"])
    assert queues["notifications"] >= sum(lane.slots for lane in plan.lanes)


@given(first=st.integers(1, 1000), second=st.integers(1, 1000))
def test_larger_calls_are_never_dearer(first, second):
    small, large = (shipped().email(batch) for batch in sorted((first, second)))

    assert large.service <= small.service + 1e-12
    assert large.postgres <= small.postgres + 1e-12
