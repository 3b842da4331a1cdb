"""What meets a demand."""

from collections.abc import Mapping

from attrs import frozen

from fn_notifications.domain.address import Channel
from fn_notifications.entrypoints.capacity.figures import Cost


@frozen(kw_only=True)
class Work:
    """One kind, at the busiest."""

    name: str
    per_second: float
    cost: Cost
    """Of one."""


@frozen(kw_only=True)
class Lane:
    """One channel, at the busiest."""

    channel: Channel
    deliveries: float
    """A second."""
    calls: float
    """A second."""
    on_the_wire: float
    """Calls that have begun and have no answer yet, on average."""
    slots: int
    """In one process."""
    limit: float | None
    """Messages a second that the provider's account allows."""
    excess: float
    """Messages a second above that: they wait."""


@frozen(kw_only=True)
class Bound:
    """Where something is used up."""

    resource: str
    rate: float
    """Events a second."""


@frozen(kw_only=True)
class Plan:
    """Sizes, and what follows from them."""

    work: tuple[Work, ...]
    service_cores: float
    """In use at the busiest, on average."""
    postgres_cores: float
    """Likewise."""
    processes: int
    """Of the service, on all machines. One process is one core: Python runs one thread at a time."""
    machines: int
    memory_mb: float
    """Of the service's processes together."""
    postgres_cpus: int
    """Cores for PostgreSQL."""
    connections: int
    """That the processes together may hold."""
    partitions: int
    """Of each busy topic, at least."""
    lanes: tuple[Lane, ...]
    settings: Mapping[str, str]
    """Of every machine."""
    disk_per_day: float
    """Bytes."""
    disk_kept: float
    """Bytes, when as many days are kept as are asked for."""
    wal_per_second: float
    """Bytes, at the busiest."""
    bounds: tuple[Bound, ...]
    """Of these sizes wholly used, the lowest first."""
    relay_share: float
    """Of the one core that publishes results for all machines: how much the busiest takes. Above one, they lag."""
    drain_seconds: float | None
    """Until the backlog is gone while the busiest lasts; None when it never is."""
