"""Names, labels and numbers as they leave."""

import io

import pytest
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    InMemoryMetricReader,
    PeriodicExportingMetricReader,
)

from fn_notifications.adapters.telemetry.logs import configure_logs
from fn_notifications.adapters.telemetry.metrics import SECONDS, open_telemetry
from fn_notifications.adapters.telemetry.names import METRICS, Kind, outside

_AN_HOUR = 3_600_000


@pytest.fixture
async def telemetry():
    with configure_logs("info", json=True, stream=io.StringIO()) as logger:
        async with open_telemetry(logger) as telemetry:
            yield telemetry


def test_a_value_that_has_a_name_of_its_own_is_no_label_any_more(telemetry):
    telemetry.count("deliveries.answered", channel="sms", status="sent")
    telemetry.count("deliveries.failed", channel="sms")
    telemetry.count("deliveries.answered", channel="sms", status="pending")

    assert sorted(telemetry.snapshot()) == [
        ("fn_notifications.notification.answered.total", {"channel": "sms", "status": "pending"}, 1),
        ("fn_notifications.notification.failed.total", {"channel": "sms"}, 1),
        ("fn_notifications.notification.sent.total", {"channel": "sms"}, 1),
    ]


def test_labels_are_called_as_in_the_guide():
    name, labels = outside("deliveries.failed", Kind.COUNTER, {"type": "welcome", "reason": "x"})

    assert name == "fn_notifications.notification.failed.total"
    assert labels == {"notification_type": "welcome", "failure_reason": "x"}


def test_what_is_not_in_the_table_keeps_its_name():
    assert outside("new.thing", Kind.COUNTER, {}) == ("fn_notifications.new.thing.total", {})
    assert outside("New Thing", Kind.HISTOGRAM, {}) == ("fn_notifications.new_thing.seconds", {})


def test_a_distribution_has_buckets_that_add_up(telemetry):
    for seconds in (0.004, 0.2, 14.0, 3600.0):
        telemetry.observe("provider.call", seconds, route="one", outcome="accepted")

    samples = telemetry.snapshot()
    below = {
        sample.labels["le"]: sample.value
        for sample in samples
        if sample.name == "fn_notifications.provider.call.seconds.bucket"
    }
    assert list(below) == [*map(str, SECONDS), "+Inf"]
    assert (below["0.005"], below["0.25"], below["10.0"], below["30.0"], below["+Inf"]) == (1, 2, 2, 3, 4)
    assert {sample.value for sample in samples if sample.name.endswith(".count")} == {4}


def test_labels_that_python_takes_for_equal_stay_apart(telemetry):
    for _ in range(2):
        for flag in ("1", 1, True, "true"):
            telemetry.count("intake.conflicts", flag=flag)

    assert {sample.labels["flag"]: sample.value for sample in telemetry.snapshot()} == {"1": 4, "true": 4}


def test_numbers_go_on_growing_after_they_were_looked_at(telemetry):
    telemetry.count("intake.conflicts")
    before = telemetry.snapshot()
    telemetry.count("intake.conflicts")

    assert [sample.value for sample in (*before, *telemetry.snapshot())] == [1, 2]


def test_a_level_said_often_between_two_looks_is_the_last_one(telemetry):
    for height in range(1234):
        telemetry.gauge("doubts.open", height, channel="sms")

    assert [sample.value for sample in telemetry.snapshot()] == [1233]


async def test_every_reader_reads_what_was_just_said():
    reader = InMemoryMetricReader()
    with configure_logs("info", json=True, stream=io.StringIO()) as logger:
        async with open_telemetry(logger, readers=[reader]) as telemetry:
            telemetry.count("intake.conflicts")

            assert '"name": "fn_notifications.intake.conflicts.total"' in reader.get_metrics_data().to_json()


async def test_what_was_said_last_is_exported_before_the_end():
    exported = io.StringIO()
    reader = PeriodicExportingMetricReader(ConsoleMetricExporter(out=exported), export_interval_millis=_AN_HOUR)
    with configure_logs("info", json=True, stream=io.StringIO()) as logger:
        async with open_telemetry(logger, readers=[reader]) as telemetry:
            telemetry.count("intake.conflicts")

    assert '"name": "fn_notifications.intake.conflicts.total"' in exported.getvalue()


def test_nothing_was_said_and_nothing_is_there(telemetry):
    assert telemetry.snapshot() == []


async def test_the_sdks_own_switch_is_honoured(monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with configure_logs("info", json=True, stream=io.StringIO()) as logger:
        async with open_telemetry(logger) as telemetry:
            telemetry.count("intake.conflicts")
            assert telemetry.snapshot() == []


def test_no_two_rows_of_the_table_share_a_name():
    names = [metric.name for metric in METRICS]

    assert len(set(names)) == len(names)


def test_a_row_for_everything_else_comes_last():
    """The first row that fits is taken."""
    for number, metric in enumerate(METRICS):
        if metric.when is None:
            assert metric.said not in {later.said for later in METRICS[number + 1 :]}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_says_its_kind(metric):
    assert metric.name.startswith("fn_notifications.")
    ending = {Kind.COUNTER: ".total", Kind.HISTOGRAM: ".seconds"}.get(metric.kind)
    assert metric.name.endswith(ending) if ending else not metric.name.endswith(".total")
