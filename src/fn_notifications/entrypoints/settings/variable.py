"""A variable as data: what it is called, how it is read, what it means."""

from enum import StrEnum
from typing import Generic, TypedDict, TypeVar, Unpack

from attrs import field, frozen

from fn_notifications.entrypoints.settings.kinds import Kind, T

T_co = TypeVar("T_co", covariant=True)


class Section(StrEnum):
    """Where the reference shows a variable."""

    SERVICE = "Service"
    DATABASE = "Database"
    KAFKA = "Kafka"
    CHANNELS = "Channels"
    SENDERS = "Senders and provider accounts"
    LANES = "Lanes and circuits"
    QUEUE = "Queue, intake and retention"
    CACHE = "Cache"
    SECURITY = "Security"
    IDENTITY = "Identity"
    TELEMETRY = "Telemetry"
    LATER = "Read by a later version"
    OBSOLETE = "No longer needed"


@frozen(kw_only=True, eq=False)
class Variable(Generic[T_co]):
    """One name the configuration knows, with its older spellings."""

    name: str
    kind: Kind[T_co]
    section: Section
    meaning: str
    default: str | None = None
    """As one would write it; None when the value may be absent."""
    otherwise: str = ""
    """What holds when it is absent."""
    aliases: tuple[str, ...] = ()
    secret: bool = False
    outside: bool = False
    """It leads out of this process: `dev` and `demo` pass it over."""
    spare: bool = False
    """A placeholder left in it is as good as nothing, in production too: a rule asks for it where it is needed."""
    names: tuple[str, ...] = field(init=False)

    @names.default
    def _names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)


class Flags(TypedDict, total=False):
    """What may be said of a variable besides."""

    aliases: tuple[str, ...]
    secret: bool
    outside: bool
    spare: bool


def setting(
    name: str, kind: Kind[T], default: str, section: Section, meaning: str, **flags: Unpack[Flags]
) -> Variable[T]:
    """A variable that always has a value."""
    return Variable(name=name, kind=kind, default=default, section=section, meaning=meaning, **flags)


def optional(
    name: str, kind: Kind[T], otherwise: str, section: Section, meaning: str, **flags: Unpack[Flags]
) -> Variable[T | None]:
    """A variable that may be absent; `otherwise` says what holds then."""
    return Variable(name=name, kind=kind, otherwise=otherwise, section=section, meaning=meaning, **flags)
