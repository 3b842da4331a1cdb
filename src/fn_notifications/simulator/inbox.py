"""Everything the simulator received."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from attrs import define, evolve, field

from fn_notifications.application.ports.sending import Delivered


@define
class Tally:
    """What has happened since the start."""

    requests_total: int = 0
    accepted_total: int = 0
    refused_total: int = 0
    reports_total: int = 0
    """Reports a webhook took with a 2xx."""
    reports_lost_total: int = 0
    """Reports given up after the provider's usual tries."""


@define
class Inbox:
    """The newest `keep` messages, refused ones too; a report changes the status of what it is about."""

    keep: int = 10_000
    noted: Callable[[Delivered], None] = lambda _: None
    """Called with each message, before it is kept."""
    _kept: OrderedDict[int, Delivered] = field(factory=OrderedDict, init=False, repr=False)
    _received: int = field(default=0, init=False)

    def messages(self) -> Sequence[Delivered]:
        """See `Mailbox.messages`."""
        return tuple(self._kept.values())

    def put(self, delivered: Delivered) -> int:
        """Keep it under a number, which is returned; the oldest makes room."""
        self.noted(delivered)
        self._received += 1
        self._kept[self._received] = delivered
        if len(self._kept) > self.keep:
            self._kept.popitem(last=False)
        return self._received

    def report(self, number: int, status: str) -> None:
        """Note the last report about a message; one that made room is forgotten."""
        if number in self._kept:
            self._kept[number] = evolve(self._kept[number], status=status)
