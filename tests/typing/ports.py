"""Every adapter is what its port says, by type. Checked by mypy, never executed."""

from fn_notifications.adapters.addresses.canonical import CanonicalAddresses
from fn_notifications.adapters.jmespath.paths import JmesPaths
from fn_notifications.adapters.kafka.publisher import KafkaPublisher
from fn_notifications.adapters.kafka.source import KafkaSource
from fn_notifications.adapters.local.sender import LocalMailbox, LocalSender
from fn_notifications.adapters.memory.addresses import StrictAddresses
from fn_notifications.adapters.memory.circuit import MemoryCircuit
from fn_notifications.adapters.memory.lookup import MemoryLookup
from fn_notifications.adapters.memory.renderer import MemoryRenderer
from fn_notifications.adapters.memory.sending import MemoryMailbox, MemorySender
from fn_notifications.adapters.memory.store import MemoryStore
from fn_notifications.adapters.postgres.store import PostgresStore
from fn_notifications.adapters.resilience.circuit import PurgatoryCircuit
from fn_notifications.adapters.sendgrid.sender import SendGridSender
from fn_notifications.adapters.templates.jinja import JinjaRenderer
from fn_notifications.adapters.transport.aiohttp import AiohttpTransport
from fn_notifications.adapters.transport.http import HttpTransport
from fn_notifications.adapters.transport.pyreqwest import PyreqwestTransport
from fn_notifications.adapters.twilio.lookup import TwilioLookup
from fn_notifications.adapters.twilio.sender import TwilioSender
from fn_notifications.adapters.vault.aes import AesVault
from fn_notifications.application.ports.addresses import Addresses
from fn_notifications.application.ports.circuit import Circuit
from fn_notifications.application.ports.deliveries import Deliveries
from fn_notifications.application.ports.eventlog import EventLog
from fn_notifications.application.ports.events import EventPublisher, EventSource
from fn_notifications.application.ports.history import History
from fn_notifications.application.ports.intake import IntakeStore
from fn_notifications.application.ports.lookup import Lookup
from fn_notifications.application.ports.paths import Paths
from fn_notifications.application.ports.people import People
from fn_notifications.application.ports.quarantine import DeadLetters, Quarantine
from fn_notifications.application.ports.receipts import Receipts
from fn_notifications.application.ports.routes import Routes
from fn_notifications.application.ports.sending import Mailbox, Renderer, Sender
from fn_notifications.application.ports.storage import Storage
from fn_notifications.application.ports.vault import Vault


def senders(memory: MemorySender, local: LocalSender, sendgrid: SendGridSender, twilio: TwilioSender) -> list[Sender]:
    return [memory, local, sendgrid, twilio]


def transports(aiohttp: AiohttpTransport, pyreqwest: PyreqwestTransport) -> list[HttpTransport]:
    return [aiohttp, pyreqwest]


def mailboxes(memory: MemoryMailbox, local: LocalMailbox) -> list[Mailbox]:
    return [memory, local]


def renderers(memory: MemoryRenderer, jinja: JinjaRenderer) -> list[Renderer]:
    return [memory, jinja]


def lookups(memory: MemoryLookup, twilio: TwilioLookup) -> list[Lookup]:
    return [memory, twilio]


def addresses(strict: StrictAddresses, canonical: CanonicalAddresses) -> list[Addresses]:
    return [strict, canonical]


def circuits(memory: MemoryCircuit, purgatory: PurgatoryCircuit) -> list[Circuit]:
    return [memory, purgatory]


def vaults(aes: AesVault) -> list[Vault]:
    return [aes]


def paths(jmes: JmesPaths) -> list[Paths]:
    return [jmes]


def streams(source: KafkaSource, publisher: KafkaPublisher) -> tuple[EventSource, EventPublisher]:
    return source, publisher


def memory_stores(
    memory: MemoryStore,
) -> tuple[People, IntakeStore, Deliveries, Receipts, EventLog, History, Routes, Quarantine, DeadLetters, Storage]:
    return (
        memory.people,
        memory.intake,
        memory.deliveries,
        memory.receipts,
        memory.eventlog,
        memory.history,
        memory.routes,
        memory.quarantine,
        memory.dead_letters,
        memory.storage,
    )


def postgres_stores(
    postgres: PostgresStore,
) -> tuple[People, IntakeStore, Deliveries, Receipts, EventLog, History, Routes, Quarantine, DeadLetters, Storage]:
    return (
        postgres.people,
        postgres.intake,
        postgres.deliveries,
        postgres.receipts,
        postgres.eventlog,
        postgres.history,
        postgres.routes,
        postgres.quarantine,
        postgres.dead_letters,
        postgres.storage,
    )
