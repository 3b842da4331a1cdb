"""What `capacity` is told. It reads no settings: whoever plans has none yet."""

import argparse
from pathlib import Path
from typing import Final

from fn_notifications.entrypoints.cli.arguments import by_channel, days, told
from fn_notifications.entrypoints.settings.kinds import number, whole

_EVENTS: Final = whole(1, 10**12, " of events")
_SHARES: Final = "email=0.8,sms=0.2"
_TIMES: Final = "email=120,sms=300"
_RATES: Final = "email=100,sms=10"


def add_capacity(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """What a deployment takes."""
    capacity = commands.add_parser("capacity", help="what to buy and to set for so many events a second")
    capacity.add_argument(
        "--rate", type=told(number(0.001, 999_999)), required=True, metavar="EVENTS", help="a second, at the peak"
    )
    capacity.add_argument(
        "--channels",
        type=by_channel(number(0.0001, 100), _SHARES),
        required=True,
        metavar="SHARES",
        help=f"deliveries of each channel that an event makes, such as {_SHARES}",
    )
    capacity.add_argument("--batch", type=told(whole(1, 1000)), metavar="N", help="emails in a call (EMAIL_BATCH)")
    capacity.add_argument(
        "--call-ms",
        type=by_channel(number(0.1, 600_000), _TIMES),
        default={},
        metavar="TIMES",
        help=f"how long a provider's call takes, such as {_TIMES} (200)",
    )
    capacity.add_argument(
        "--limits",
        type=by_channel(number(0.01, 100_000), _RATES),
        default={},
        metavar="RATES",
        help=f"messages a second an account may send, such as {_RATES} (none)",
    )
    capacity.add_argument(
        "--reports", type=told(number(0, 100)), default=2.0, metavar="N", help="by the provider, a delivery (2)"
    )
    capacity.add_argument(
        "--daily", type=told(_EVENTS), metavar="EVENTS", help="a day; without it, as if the peak never ended"
    )
    capacity.add_argument("--retention", type=days, metavar="DAYS", help="kept (RETENTION_DAYS)")
    capacity.add_argument("--cores", type=told(whole(1, 256)), default=4, metavar="N", help="of one machine (4)")
    capacity.add_argument(
        "--utilisation",
        type=told(number(0.05, 1)),
        default=0.6,
        metavar="PART",
        help="of everything that may be in use at the peak (0.6)",
    )
    capacity.add_argument(
        "--backlog", type=told(_EVENTS), default=100_000, metavar="EVENTS", help="after an outage (100000)"
    )
    capacity.add_argument("--figures", type=Path, metavar="FILE", help="a build/bench.json; default: this version's")
    capacity.add_argument("--json", action="store_true", help="as JSON")
