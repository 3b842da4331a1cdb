"""What every `Telemetry` keeps to. Subclass, provide the `subject` fixture, and pytest runs the rules."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest
from attrs import field, frozen

from fn_notifications.application.measuring import LONGEST_LABEL, MOST_LABEL_SETS, OTHER, Sample
from fn_notifications.application.ports.telemetry import Telemetry

SECRET: Final = "canary-0f3b7c"  # noqa: S105 - a fake one, which a subject must have been told of
_CANARIES: Final = ("canary.person@example.com", "+15005550006", SECRET)


class _Unwritable:
    def __str__(self) -> str:
        raise RuntimeError


ODD: Final[dict[str, Any]] = {
    "none": None,
    "true": True,
    "not_a_number": float("nan"),
    "huge": "x" * 1_000_000,
    "digits": 10**5000,
    "umlaut": "größer ✓",
    "surrogate": "\ud800",
    "controls": "a\0b\x1b[31mc\r\nd",
    "empty": "",
    "bytes": b"\xff",
    "unwritable": _Unwritable(),
    "nested": {"a": [1, _Unwritable]},
}
"""Labels that a mistake may bring."""


@frozen(kw_only=True)
class Subject:
    """Telemetry under test that was told of `SECRET`, and what it made of what it heard."""

    telemetry: Telemetry
    samples: Callable[[], Sequence[Sample]] = field(repr=False)
    """Every number as it stands; a name outside contains the name that was said."""
    lines: Callable[[], Sequence[str]] = field(repr=False)
    """Every log line, with all its fields, as text."""

    def named(self, name: str) -> list[Sample]:
        """What there is under a name."""
        return [sample for sample in self.samples() if name in sample.name]

    def everything(self) -> str:
        """All that anybody could read."""
        return f"{self.samples()!r}{self.lines()!r}{self.telemetry!r}"


class QuietTelemetryContract:
    """Rules even for telemetry that keeps nothing."""

    @pytest.mark.parametrize("odd", ODD)
    def test_nothing_raises(self, subject: Subject, odd: str) -> None:
        """Whatever is said: the engine goes on."""
        subject.telemetry.count("checks.odd", 1, odd=ODD[odd])
        subject.telemetry.observe("checks.odd", 1.0, odd=ODD[odd])
        subject.telemetry.gauge("checks.odd", 1.0, odd=ODD[odd])
        subject.telemetry.log("info", "checks.odd", odd=ODD[odd])
        subject.telemetry.log("no such level", "checks.odd")
        subject.telemetry.count("checks odd ß", 1)

    def test_no_address_and_no_secret_can_be_read(self, subject: Subject) -> None:
        """Neither in a label, nor in a field, nor in what happened, however it is embedded."""
        for canary in _CANARIES:
            for told in (canary, f"to={canary};", f"https://example.com/{canary}?x", f"{{'to': '{canary}'}}"):
                subject.telemetry.count("checks.leak", 1, to=told)
                subject.telemetry.observe("checks.leak", 1.0, to=told)
                subject.telemetry.gauge("checks.leak", 1.0, to=told)
                subject.telemetry.log("error", f"checks.leak {told}", error=told)
        assert not [canary for canary in ("canary", "5550006", SECRET) if canary in subject.everything()]


class TelemetryContract(QuietTelemetryContract):
    """Rules for telemetry that can be asked what it heard."""

    def test_counts_add_up_by_labels(self, subject: Subject) -> None:
        """In whatever order the labels are given."""
        subject.telemetry.count("checks.sum", channel="email", status="sent")
        subject.telemetry.count("checks.sum", 2, status="sent", channel="email")
        subject.telemetry.count("checks.sum", 5, channel="sms", status="sent")
        assert {sample.labels["channel"]: sample.value for sample in subject.named("checks.sum")} == {
            "email": 3,
            "sms": 5,
        }

    def test_a_counter_only_grows(self, subject: Subject) -> None:
        """A negative amount is a mistake, and passed over."""
        subject.telemetry.count("checks.growth", 3)
        subject.telemetry.count("checks.growth", -2)
        assert [sample.value for sample in subject.named("checks.growth")] == [3]

    def test_values_are_counted_and_summed(self, subject: Subject) -> None:
        """A mean can be had from every distribution; what is no length of anything is passed over."""
        for value in (0.5, 1.5, 0.0, float("nan"), float("inf"), -1.0):
            subject.telemetry.observe("checks.spread", value, route="one")
        values = {sample.name.rpartition(".")[2]: sample.value for sample in subject.named("checks.spread")}
        assert (values["count"], values["sum"]) == (3, 2.0)

    def test_a_level_is_what_was_said_last(self, subject: Subject) -> None:
        """By labels; it goes up and down, and what is no height of anything is passed over."""
        for value in (7.0, 3.0, float("nan"), -1.0):
            subject.telemetry.gauge("checks.height", value, shard=1)
        subject.telemetry.gauge("checks.height", 5.0, shard=2)
        assert {sample.labels["shard"]: sample.value for sample in subject.named("checks.height")} == {"1": 3, "2": 5}

    def test_labels_become_short_printable_text(self, subject: Subject) -> None:
        """Long ones are cut, None is no label, true and false are words."""
        subject.telemetry.count("checks.text", 1, **ODD)
        samples = subject.named("checks.text")
        assert len(samples) == 1
        sample = samples[0]
        assert max(map(len, sample.labels.values())) <= LONGEST_LABEL
        assert "none" not in sample.labels
        assert (sample.labels["true"], sample.labels["umlaut"]) == ("true", "größer ✓")
        assert all(value.isprintable() for value in sample.labels.values())

    def test_too_many_labels_are_counted_together(self, subject: Subject) -> None:
        """A mistake in a label costs its detail, not the memory; the sum stays right, and others are not touched."""
        for number in range(MOST_LABEL_SETS + 50):
            subject.telemetry.count("checks.many", 1, user=str(number))
        subject.telemetry.count("checks.few", 1, user="one")
        subject.telemetry.count("checks.many", 1, user="0")
        counts = {sample.labels["user"]: sample.value for sample in subject.named("checks.many")}
        assert len(counts) == MOST_LABEL_SETS + 1
        assert (counts[OTHER], counts["0"], sum(counts.values())) == (50, 2, MOST_LABEL_SETS + 51)
        assert [sample.labels for sample in subject.named("checks.few")] == [{"user": "one"}]

    def test_a_line_says_what_happened_with_its_fields(self, subject: Subject) -> None:
        """Level, event and every field, in the order of their saying."""
        subject.telemetry.log("info", "checks.first", number=7)
        subject.telemetry.log("warning", "checks.second", why="because")
        first, second = subject.lines()
        assert all(part in first for part in ("info", "checks.first", "number", "7"))
        assert all(part in second for part in ("warning", "checks.second", "because"))

    def test_a_line_is_one_line(self, subject: Subject) -> None:
        """What is quoted cannot look like a line of its own, nor colour the screen."""
        subject.telemetry.log("info", "checks.forged\nerror", why="a\nb\x1b[31m")
        (line,) = subject.lines()
        assert "\n" not in line
        assert "\x1b" not in line
