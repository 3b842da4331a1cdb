"""What is said, to whom: a catalogue with every policy in it, short lives, and people who share a telephone."""

import tomllib
from functools import cache
from typing import Final

from fn_notifications.adapters.memory.addresses import StrictAddresses
from fn_notifications.adapters.memory.paths import DottedPaths
from fn_notifications.adapters.memory.renderer import MemoryRenderer
from fn_notifications.adapters.zones.tz import zone
from fn_notifications.application.catalogue import Catalogue
from fn_notifications.application.loading import load

_DOCUMENT: Final = """
version = "simulated-1"

[types.alarm]
priority = "urgent"
channels = ["sms", "email", "whatsapp"]
ttl = "1h"
in_doubt = "resend"

[types.code]
priority = "high"
channels = ["sms"]
ttl = "20m"
window = "1m"
in_doubt = "resend"
duplicates_allowed = true

[types.match]
channels = ["email", "sms"]
ttl = "5h"
in_doubt = "resend"
optional.item = "text(40)"

[types.offer]
priority = "low"
channels = ["sms", "email"]
ttl = "2h"
in_doubt = "resend_if_alone"
over_cap = "skip"

[types.note]
channels = ["email"]
ttl = "3h"
in_doubt = "hold"
batch = 3

[types.welcome]
channels = ["email"]
ttl = "8h"
window = "24h"
in_doubt = "hold"
batch = 2

[types.reminder]
priority = "low"
channels = ["email", "sms"]
ttl = "4h"
in_doubt = "hold"
required.title = "text(80)"

[people.account]
source = "users"
user = "id"
fields.email = "email"
fields.phone = "phone"
fields.timezone = "zone"
fields."enabled.sms" = "sms"
fields."opt_in.whatsapp" = "whatsapp"
fields."enabled.whatsapp" = "whatsapp"

[events."person.registered"]
key = "id"
learns.account = "@"
[events."person.registered".parties.person]
type = "welcome"
user = "id"

[events."person.updated"]
learns.account = "@"

[events."item.alarmed"]
key = "thing"
[events."item.alarmed".parties.owner]
type = "alarm"
user = "owner"

[events."item.coded"]
key = "thing"
[events."item.coded".parties.owner]
type = "code"
user = "owner"

[events."item.matched"]
key = "thing"
variables.item = "title"
[events."item.matched".parties.owner]
type = "match"
user = "owner"
[events."item.matched".parties.finder]
type = "note"
user = "finder"

[events."item.offered"]
key = "thing"
[events."item.offered".parties.owner]
type = "offer"
user = "owner"

[events."item.noted"]
key = "thing"
[events."item.noted".parties.owner]
type = "note"
user = "owner"
"""

ITEM_EVENTS: Final = ("item.alarmed", "item.coded", "item.matched", "item.offered", "item.noted")
TYPES: Final = ("alarm", "code", "match", "offer", "note", "welcome", "reminder")


@cache
def catalogue() -> Catalogue:
    """The simulated product's."""
    return load(tomllib.loads(_DOCUMENT), DottedPaths(), StrictAddresses(), zone)


def renderer() -> MemoryRenderer:
    """A sentence per type."""
    return MemoryRenderer({type_: {"subject": type_, "text": f"This is about your {type_}."} for type_ in TYPES})
