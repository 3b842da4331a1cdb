"""What is asked of a deployment."""

from collections.abc import Mapping
from typing import Final

from attrs import field, frozen

from fn_notifications.domain.address import EMAIL, Channel
from fn_notifications.domain.errors import InvalidValue

CALL_MS: Final = 200.0
"""Of a provider of which nothing else is said."""
_DAY: Final = 86_400


@frozen(kw_only=True)
class Demand:
    """At the busiest. Raises InvalidValue for a channel that is told about and not used, and an impossible day."""

    rate: float
    """Events a second."""
    channels: Mapping[Channel, float]
    """Deliveries of each channel that an event makes on average. They may come to more than one."""
    batch: int
    """Emails a call carries."""
    call_ms: Mapping[Channel, float] = field(factory=dict)
    """How long a provider takes for one call."""
    limits: Mapping[Channel, float] = field(factory=dict)
    """Messages a second that a provider's account may send; channels without one are not limited."""
    reports: float
    """By the provider, about one delivery."""
    daily: int | None
    """Events a day; without it every second of a day is the busiest."""
    retention: int
    """Days that notifications are kept."""
    cores: int
    """Of one machine."""
    utilisation: float
    """The part of everything that may be in use at the busiest."""
    backlog: int
    """Events that wait after an outage."""

    def __attrs_post_init__(self) -> None:
        for flag, told in (("--call-ms", self.call_ms), ("--limits", self.limits)):
            if unused := sorted(told.keys() - self.channels.keys()):
                raise InvalidValue(f"{flag} names {', '.join(unused)}: name it in --channels too, or leave it out here")

        if self.daily is not None and self.daily > self.rate * _DAY:
            raise InvalidValue(
                f"--daily is more than --rate makes in a day, {self.rate * _DAY:,.0f}: it must be the peak"
            )

    def deliveries(self, channel: Channel) -> float:
        """A second."""
        return self.rate * self.channels[channel]

    @property
    def all_deliveries(self) -> float:
        """A second, of every channel."""
        return self.rate * sum(self.channels.values())

    def messages_per_call(self, channel: Channel) -> int:
        """Only email shares calls."""
        return self.batch if channel == EMAIL else 1

    def call_seconds(self, channel: Channel) -> float:
        """How long one call takes."""
        return self.call_ms.get(channel, CALL_MS) / 1000

    @property
    def busy_seconds(self) -> float:
        """A day's events, in seconds of the busiest."""
        return _DAY if self.daily is None else self.daily / self.rate
