"""Every store port over one PostgreSQL database."""

from collections.abc import Mapping

from attrs import define, field

from fn_notifications.adapters.postgres.dead_letters import PostgresDeadLetters
from fn_notifications.adapters.postgres.deliveries import PostgresDeliveries
from fn_notifications.adapters.postgres.eventlog import PostgresEventLog
from fn_notifications.adapters.postgres.history import PostgresHistory
from fn_notifications.adapters.postgres.intake import PostgresIntake
from fn_notifications.adapters.postgres.people import PostgresPeople
from fn_notifications.adapters.postgres.pool import Database
from fn_notifications.adapters.postgres.quarantine import PostgresQuarantine
from fn_notifications.adapters.postgres.receipts import PostgresReceipts
from fn_notifications.adapters.postgres.routes import PostgresRoutes
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.adapters.postgres.storage import PostgresStorage
from fn_notifications.application.ports.vault import Vault
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import CHANNELS, ChannelRules


@define(kw_only=True)
class PostgresStore:
    """The stores of one database, which is migrated (see `migrate`)."""

    database: Database
    vault: Vault
    channels: Mapping[Channel, ChannelRules] = CHANNELS
    tenant: str = "default"
    """Whose provider accounts the receipts are about."""
    people: PostgresPeople = field(init=False)
    intake: PostgresIntake = field(init=False)
    deliveries: PostgresDeliveries = field(init=False)
    receipts: PostgresReceipts = field(init=False)
    eventlog: PostgresEventLog = field(init=False)
    history: PostgresHistory = field(init=False)
    storage: PostgresStorage = field(init=False)
    routes: PostgresRoutes = field(init=False)
    quarantine: PostgresQuarantine = field(init=False)
    dead_letters: PostgresDeadLetters = field(init=False)

    def __attrs_post_init__(self) -> None:
        seals = Seals(self.vault)
        self.people = PostgresPeople(self.database, seals, self.channels)
        self.intake = PostgresIntake(self.database, seals, self.people)
        self.deliveries = PostgresDeliveries(self.database, seals)
        self.receipts = PostgresReceipts(self.database, seals, self.tenant)
        self.eventlog = PostgresEventLog(self.database)
        self.history = PostgresHistory(self.database, seals)
        self.storage = PostgresStorage(self.database)
        self.routes = PostgresRoutes(self.database, self.tenant)
        self.quarantine = PostgresQuarantine(self.database, seals)
        self.dead_letters = PostgresDeadLetters(self.database, seals)
