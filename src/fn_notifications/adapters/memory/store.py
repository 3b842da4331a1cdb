"""Every store port over one state: what tests, simulations and library users run on."""

from collections.abc import Callable, Mapping
from datetime import datetime

from attrs import define, field

from fn_notifications.adapters.memory.deliveries import MemoryDeliveries
from fn_notifications.adapters.memory.eventlog import MemoryEventLog
from fn_notifications.adapters.memory.history import MemoryHistory
from fn_notifications.adapters.memory.intake import MemoryIntake
from fn_notifications.adapters.memory.people import MemoryPeople
from fn_notifications.adapters.memory.quarantine import MemoryDeadLetters, MemoryQuarantine
from fn_notifications.adapters.memory.receipts import MemoryReceipts
from fn_notifications.adapters.memory.routes import MemoryRoutes
from fn_notifications.adapters.memory.state import State
from fn_notifications.adapters.memory.storage import MemoryStorage
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import CHANNELS, ChannelRules


@define(kw_only=True)
class MemoryStore:
    """One in-memory database. `clock` is its time; nothing here asks any other."""

    clock: Callable[[], datetime]
    channels: Mapping[Channel, ChannelRules] = CHANNELS
    tenant: str = "default"
    state: State = field(init=False)
    people: MemoryPeople = field(init=False)
    intake: MemoryIntake = field(init=False)
    deliveries: MemoryDeliveries = field(init=False)
    receipts: MemoryReceipts = field(init=False)
    eventlog: MemoryEventLog = field(init=False)
    history: MemoryHistory = field(init=False)
    storage: MemoryStorage = field(init=False)
    routes: MemoryRoutes = field(init=False)
    quarantine: MemoryQuarantine = field(init=False)
    dead_letters: MemoryDeadLetters = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.state = State(clock=self.clock, channels=self.channels)
        self.people = MemoryPeople(self.state)
        self.intake = MemoryIntake(self.state)
        self.deliveries = MemoryDeliveries(self.state)
        self.receipts = MemoryReceipts(self.state, self.tenant)
        self.eventlog = MemoryEventLog(self.state)
        self.history = MemoryHistory(self.state)
        self.storage = MemoryStorage(self.state)
        self.routes = MemoryRoutes(self.state)
        self.quarantine = MemoryQuarantine(self.state)
        self.dead_letters = MemoryDeadLetters(self.state)
