"""THE composition root: settings in, a running service out. The only place that knows every adapter."""

import asyncio
import os
import random
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from attrs import field, frozen

from fn_notifications.adapters.addresses.canonical import CanonicalAddresses
from fn_notifications.adapters.kafka.publisher import open_publisher
from fn_notifications.adapters.kafka.source import counted, open_source
from fn_notifications.adapters.local.sender import LocalMailbox
from fn_notifications.adapters.memory.cache import MemoryPreferenceCache
from fn_notifications.adapters.postgres.partitions import ensure_partitions
from fn_notifications.adapters.postgres.pool import Database
from fn_notifications.adapters.postgres.store import PostgresStore
from fn_notifications.adapters.resilience.circuit import PurgatoryCircuit
from fn_notifications.adapters.vault.aes import AesVault
from fn_notifications.application.call import Caller, Lane
from fn_notifications.application.catalogue import Catalogue
from fn_notifications.application.dispatch import Dispatch, Pace
from fn_notifications.application.inbox import Inbox
from fn_notifications.application.intake import Intake
from fn_notifications.application.ports.circuit import CircuitRules
from fn_notifications.application.ports.people import PreferenceCache
from fn_notifications.application.ports.sending import Mailbox, Renderer
from fn_notifications.application.ports.storage import Keeping
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.application.preferences import PreferencesFormat
from fn_notifications.application.pruning import Pruning, Watch
from fn_notifications.application.quarantine import Custody
from fn_notifications.application.receipts import ApplyReceipts
from fn_notifications.application.relay import Relay
from fn_notifications.application.service import Notifications
from fn_notifications.application.slowness import Slowness
from fn_notifications.application.switchboard import Switchboard
from fn_notifications.application.upkeep import Upkeep
from fn_notifications.domain.catalogue import Policy
from fn_notifications.domain.stops import account_of
from fn_notifications.entrypoints.asking import Asking
from fn_notifications.entrypoints.http.app import application, serve
from fn_notifications.entrypoints.http.doors import Door
from fn_notifications.entrypoints.parts import (
    kafka_of,
    load_catalogue,
    open_database,
    policy_of,
    renderer_of,
    routes_of,
    store_on,
    vault_of,
)
from fn_notifications.entrypoints.providers.context import Context
from fn_notifications.entrypoints.registry import provider, resolve
from fn_notifications.entrypoints.service import IntakeStep, Loop, Supervisor
from fn_notifications.entrypoints.settings import Role, Settings

_OFTEN: Final = 0.1
_SELDOM: Final = 1.0
_SLOWLY: Final = 30.0
_RARELY: Final = 15.0
_HOURLY: Final = 3600.0
"""Seconds a loop rests when there was nothing to do."""
_BESIDE_SENDING: Final = 0.25
"""Of the time goes to reports in a process that also sends: a flood of them is stored at once, and applied later."""


@frozen(kw_only=True)
class Service:
    """Everything of one process, put together and not yet running."""

    settings: Settings
    notifications: Notifications
    custody: Custody
    stores: PostgresStore
    renderer: Renderer
    telemetry: Telemetry
    mailbox: Mailbox | None
    """What there is to look at on this machine; None when everything leaves it."""
    loops: tuple[Loop, ...]
    dispatch: Dispatch | None
    doors: tuple[Door, ...]

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Run this process's roles until cancelled. `ready` is called once HTTP listens."""
        async with AsyncExitStack() as stack:
            if Role.HTTP in self.settings.roles:
                app = application(self.doors, self.mailbox)
                await stack.enter_async_context(serve(app, self.settings.http.bind, self.settings.http.port))
            ready()
            async with asyncio.TaskGroup() as group:
                group.create_task(Supervisor(telemetry=self.telemetry).run(*self.loops), name="loops")
                if self.dispatch:
                    group.create_task(self.dispatch.run(), name="dispatch")


@asynccontextmanager
async def bootstrap(
    settings: Settings, telemetry: Telemetry, *, mailbox: Mailbox | None = None
) -> AsyncIterator[Service]:
    """Connect and put together what the settings name. `mailbox` stands in for the local one on the mailbox page.

    Raises Misconfigured or Unavailable, saying what to mend.
    """
    async with AsyncExitStack() as stack:
        parts = _Parts(settings=settings, telemetry=telemetry, stack=stack, policy=policy_of(settings))
        catalogue = load_catalogue()
        renderer = renderer_of(catalogue, checked=Role.DISPATCH in settings.roles)
        stores = store_on(await stack.enter_async_context(open_database(settings)), settings)
        transport = resolve(f"fn_notifications.adapters.transport.{settings.http_client}:open_transport")
        context = Context(
            settings=settings,
            transport=await stack.enter_async_context(transport(limit=settings.queue.calls_in_flight + 10)),
            mailbox=LocalMailbox(),
            telemetry=telemetry,
            clock=_now,
        )
        intake = Intake(
            catalogue=catalogue,
            people=stores.people,
            store=stores.intake,
            policy=parts.policy,
            telemetry=telemetry,
            chance=random.random,
            tenant=settings.tenant,
            cache=await _cache(parts),
        )
        asking = Asking(context=context, stores=stores, renderer=renderer, policy=parts.policy)
        dispatch = _dispatch(parts, context, catalogue, asking) if Role.DISPATCH in settings.roles else None
        wake = dispatch.wake if dispatch else _nobody
        local = any("local" in lane.adapters for lane in settings.lanes.values())
        yield Service(
            settings=settings,
            notifications=Notifications(
                intake=intake,
                people=stores.people,
                deliveries=stores.deliveries,
                history=stores.history,
                routes=stores.routes,
                lanes=routes_of(settings),
                preferences=PreferencesFormat(
                    addresses=CanonicalAddresses(), policy=parts.policy, types=frozenset(catalogue.types)
                ),
            ),
            custody=Custody(quarantine=stores.quarantine, letters=stores.dead_letters, intake=intake),
            stores=stores,
            renderer=renderer,
            telemetry=telemetry,
            mailbox=mailbox or (context.mailbox if local else None),
            loops=tuple(await _loops(parts, stores, intake, catalogue, asking, wake)),
            dispatch=dispatch,
            doors=_doors(context, Inbox(stores.receipts)) if Role.HTTP in settings.roles else (),
        )


@frozen(kw_only=True)
class _Parts:
    """What several of the following need."""

    settings: Settings
    telemetry: Telemetry
    stack: AsyncExitStack
    policy: Policy
    worker: str = field(factory=lambda: f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}")

    @property
    def vault(self) -> AesVault:
        """Seals with the newest key."""
        return vault_of(self.settings)


async def _cache(parts: _Parts) -> PreferenceCache:
    cache = parts.settings.cache
    if cache.redis_url is None:
        return MemoryPreferenceCache(cache.preferences_ttl, time.monotonic)
    opening = resolve("fn_notifications.adapters.redis.cache:open_cache")
    opened: PreferenceCache = await parts.stack.enter_async_context(
        opening(cache.redis_url.reveal(), ttl=cache.preferences_ttl, vault=parts.vault, telemetry=parts.telemetry)
    )
    return opened


def _dispatch(parts: _Parts, context: Context, catalogue: Catalogue, asking: Asking) -> Dispatch:
    settings, stores = parts.settings, asking.stores
    providers = {
        channel: {route: provider(account_of(route)) for route in routes}
        for channel, routes in routes_of(settings).items()
    }
    lanes = {
        channel: Lane(
            channel=channel,
            routes={route: wiring.sender(context, channel) for route, wiring in providers.get(channel, {}).items()},
            slots=lane.concurrency,
            deadline=lane.deadline,
            rate=lane.rate,
            batches={
                route: min(lane.batch, getattr(wiring, "BATCH", 1))
                for route, wiring in providers.get(channel, {}).items()
            },
        )
        for channel, lane in settings.lanes.items()
        if lane.on
    }
    rules = {
        route: CircuitRules(
            threshold=settings.lanes[channel].circuit.failures,
            window=timedelta(seconds=settings.lanes[channel].circuit.window),
            reset_after=timedelta(seconds=settings.lanes[channel].circuit.reset),
        )
        for channel, lane in lanes.items()
        for route in lane.routes
    }
    switchboard = Switchboard(
        routes=stores.routes,
        lanes=lanes,
        circuit=PurgatoryCircuit(own_rules=rules),
        catalogue=catalogue,
        policy=parts.policy,
        telemetry=parts.telemetry,
        chance=random.random,
        clock=_now,
        total_slots=settings.queue.calls_in_flight,
    )
    caller = Caller(
        renderer=asking.renderer,
        policy=parts.policy,
        telemetry=parts.telemetry,
        chance=random.random,
        doubts=asking.doubts,
    )
    return Dispatch(
        deliveries=stores.deliveries,
        switchboard=switchboard,
        caller=caller,
        telemetry=parts.telemetry,
        worker=parts.worker,
        pace=Pace(lease=timedelta(seconds=settings.queue.lease), grace=settings.shutdown_grace),
    )


async def _loops(
    parts: _Parts,
    stores: PostgresStore,
    intake: Intake,
    catalogue: Catalogue,
    asking: Asking,
    wake: Callable[[], None],
) -> list[Loop]:
    settings, telemetry, loops = parts.settings, parts.telemetry, list[Loop]()
    if Role.INTAKE in settings.roles:
        topics = () if settings.kafka.forgets else settings.kafka.topics
        known = await stores.history.taken_from(settings.tenant, topics)
        opening = open_source(kafka_of(settings), counted(telemetry), known=known)
        source = await parts.stack.enter_async_context(opening)
        loops.append(Loop(name="intake", step=IntakeStep(source, intake, wake), idle=0))
    if Role.DISPATCH in settings.roles:
        loops.append(Loop(name="reporters", step=asking.look, idle=_RARELY))
    if Role.RECEIPTS in settings.roles:
        apply = ApplyReceipts(receipts=stores.receipts, telemetry=telemetry, ask_after=asking.doubts.ask_after)
        share = _BESIDE_SENDING if Role.DISPATCH in settings.roles else 1.0
        loops.append(Loop(name="receipts", step=apply.step, idle=_OFTEN, share=share))
    if Role.RELAY in settings.roles:
        publisher = await parts.stack.enter_async_context(open_publisher(kafka_of(settings)))
        relay = Relay(log=stores.eventlog, publisher=publisher, telemetry=telemetry, reader=parts.worker)
        parts.stack.push_async_callback(relay.stop)
        loops.append(Loop(name="relay", step=relay.once, idle=_OFTEN))
    if Role.UPKEEP in settings.roles:
        upkeep = Upkeep(
            deliveries=stores.deliveries,
            routes=stores.routes,
            lanes=routes_of(settings),
            catalogue=catalogue,
            policy=parts.policy,
            telemetry=telemetry,
            doubts=asking.doubts,
            enquiry=asking.enquiry(),
        )
        loops.append(Loop(name="upkeep", step=upkeep.once, idle=_SELDOM))
        slowness = Slowness(routes=stores.routes, lanes=routes_of(settings), telemetry=telemetry)
        loops.append(Loop(name="slowness", step=slowness.once, idle=_SLOWLY))
        loops.append(Loop(name="doubts", step=asking.measure, idle=_RARELY))
        loops.append(Loop(name="partitions", step=partial(_make_partitions, stores.database), idle=_HOURLY))
        loops += _care(parts, stores)
    return loops


def _care(parts: _Parts, stores: PostgresStore) -> list[Loop]:
    """What the store needs now and then."""
    kept, telemetry = parts.settings.retention, parts.telemetry
    keeping = Keeping(
        history=timedelta(days=kept.history),
        events=timedelta(days=kept.events),
        queue=timedelta(seconds=parts.settings.queue.prune_after),
    )
    watch = Watch(
        storage=stores.storage,
        log=stores.eventlog,
        history=stores.history,
        telemetry=telemetry,
        tenant=parts.settings.tenant,
        keeping=keeping,
    )
    pruning = Pruning(storage=stores.storage, keeping=keeping, telemetry=telemetry)
    return [
        Loop(name="watch", step=watch.once, idle=_RARELY),
        Loop(name="ledger", step=watch.balance, idle=_HOURLY),
        Loop(name="pruning", step=pruning.once, idle=_HOURLY),
    ]


async def _make_partitions(database: Database) -> int:
    """Make those of the days and months ahead; the default partitions take rows until then."""
    await ensure_partitions(database, _now())
    return 0


def _doors(context: Context, inbox: Inbox) -> tuple[Door, ...]:
    """Every named provider's doors; two channels of one provider share them."""
    names = dict.fromkeys(name for lane in context.settings.lanes.values() for name in lane.adapters)
    reads = {path: (name, read) for name in names for path, read in provider(name).doors(context).items()}
    return tuple(
        Door(
            provider=name,
            path=path,
            read=read,
            inbox=inbox,
            telemetry=context.telemetry,
            clock=context.clock,
            public_url=context.settings.http.public_url,
        )
        for path, (name, read) in reads.items()
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _nobody() -> None:
    """There is no dispatcher in this process to wake."""
