"""The providers' mood: most messages go well, some meet each of the ways an answer or a report can fail."""

import random
from collections import Counter
from typing import Final

from attrs import define, evolve, field

from fn_notifications.simulator.behaviour import ACCEPTED, EMAILS, Behaviour, Choice

SENDGRID_REPEATED: Final = ("processed", "delivered", "delivered")
TWILIO_REPEATED: Final = ("sent", "sent", "delivered", "delivered")

COMMON: Final = {
    "ratelimited": 10,
    "throttled": 3,
    "error500": 12,
    "error502": 5,
    "unavailable": 8,
    "reset-before": 8,
    "reset-after": 8,
    "hang": 5,
    "reset-after-unreported": 8,
    "hang-unreported": 4,
    "slow": 10,
    "silent": 40,
    "repeated": 30,
}
"""Of a thousand messages, how many meet what."""
OF_EMAIL: Final = {"spam": 4, "unsubscribe": 4, "bounce": 4}


@define
class Weather(Choice):
    """Chooses by chance instead of by address."""

    seed: int = 0
    calm: bool = False
    """Whether everything goes well from now on."""
    met: Counter[str] = field(factory=Counter)
    """What has befallen messages so far."""
    _chance: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._chance = random.Random(f"{self.seed}/weather")

    def of(self, address: str) -> Behaviour:
        """See `Choice.of`."""
        if self.calm:
            return ACCEPTED
        by_phone = address.startswith("+")
        table = COMMON if by_phone else COMMON | OF_EMAIL
        luck = self._chance.randrange(1_000)
        for name, share in table.items():
            if luck < share:
                self.met[f"answer_{name.replace('-', '_')}"] += 1
                if name == "repeated":
                    return evolve(ACCEPTED, reports=TWILIO_REPEATED if by_phone else SENDGRID_REPEATED)
                known = EMAILS[name.removesuffix("-unreported")]
                return evolve(known, reports=()) if name.endswith("-unreported") else known
            luck -= share
        return ACCEPTED
