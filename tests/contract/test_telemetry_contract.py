"""Every telemetry against the one contract, and the contract against broken ones."""

import io
import json

import pytest

from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.adapters.telemetry.logs import configure_logs
from fn_notifications.adapters.telemetry.metrics import open_telemetry
from fn_notifications.application.ports.telemetry import Silent
from fn_notifications.application.redaction import Redaction
from fn_notifications.testing.contracts.telemetry import SECRET, QuietTelemetryContract, Subject, TelemetryContract

REDACTION = Redaction([SECRET])


def remembering(telemetry):
    return Subject(
        telemetry=telemetry, samples=telemetry.snapshot, lines=lambda: [str(line) for line in telemetry.lines]
    )


class TestSilent(QuietTelemetryContract):
    @pytest.fixture
    def subject(self):
        return Subject(telemetry=Silent(), samples=list, lines=list)


class TestMemoryTelemetry(TelemetryContract):
    @pytest.fixture
    def subject(self):
        return remembering(MemoryTelemetry(REDACTION))


class TestOtelTelemetryInJson(TelemetryContract):
    @pytest.fixture
    async def subject(self):
        stream = io.StringIO()
        with configure_logs("debug", json=True, stream=stream, redaction=REDACTION) as logger:
            async with open_telemetry(logger, redaction=REDACTION) as telemetry:
                yield Subject(
                    telemetry=telemetry,
                    samples=telemetry.snapshot,
                    lines=lambda: [str(json.loads(line)) for line in stream.getvalue().splitlines()],
                )


class TestOtelTelemetryInText(TelemetryContract):
    @pytest.fixture
    async def subject(self):
        stream = io.StringIO()
        with configure_logs("debug", json=False, stream=stream, redaction=REDACTION) as logger:
            async with open_telemetry(logger, redaction=REDACTION) as telemetry:
                yield Subject(
                    telemetry=telemetry,
                    samples=telemetry.snapshot,
                    lines=lambda: [line for line in stream.getvalue().split("\n") if line],
                )


class KeepsLabelsAsTheyAre(MemoryTelemetry):
    def _key(self, name, labels):
        return name, tuple(sorted((label, str(value)) for label, value in labels.items()))


class RaisesForNone(MemoryTelemetry):
    def count(self, name, amount=1, **labels):
        if None in labels.values():
            raise TypeError
        super().count(name, amount, **labels)


class ForgetsTheRest(MemoryTelemetry):
    def count(self, name, amount=1, **labels):
        if len(self.counts) < 1000:
            super().count(name, amount, **labels)


class SaysItAll(MemoryTelemetry):
    def log(self, level, event, **fields):
        self.lines.append(f"{level} {event} {fields}")


class RemembersTheHighest(MemoryTelemetry):
    def gauge(self, name, value, **labels):
        super().gauge(name, max(value, self.level(name, **labels) or 0), **labels)


def refused(make, check, *arguments):
    subject = remembering(make(REDACTION))
    with pytest.raises((AssertionError, TypeError)):
        getattr(TelemetryContract(), check)(subject, *arguments)


@pytest.mark.parametrize(
    ("broken", "by", "arguments"),
    [
        (KeepsLabelsAsTheyAre, "test_no_address_and_no_secret_can_be_read", ()),
        (KeepsLabelsAsTheyAre, "test_too_many_labels_are_counted_together", ()),
        (KeepsLabelsAsTheyAre, "test_labels_become_short_printable_text", ()),
        (RaisesForNone, "test_nothing_raises", ("none",)),
        (ForgetsTheRest, "test_too_many_labels_are_counted_together", ()),
        (SaysItAll, "test_no_address_and_no_secret_can_be_read", ()),
        (SaysItAll, "test_a_line_is_one_line", ()),
        (RemembersTheHighest, "test_a_level_is_what_was_said_last", ()),
    ],
)
def test_the_contract_refuses_what_is_broken(broken, by, arguments):
    refused(broken, by, *arguments)


def test_the_contract_notices_telemetry_that_was_not_told_of_the_secret():
    subject = remembering(MemoryTelemetry())
    with pytest.raises(AssertionError):
        TelemetryContract().test_no_address_and_no_secret_can_be_read(subject)
