"""How far the partitions of the present assignment are read, and how far done."""

from collections.abc import Iterable, Mapping

from attrs import define, field

from fn_notifications.adapters.kafka.positions import Partition
from fn_notifications.application.ports.events import Record


@define
class _Span:
    """The offsets that were read and are not done."""

    done: int
    read: int


@define
class Progress:
    """Decides what may be stored: an offset that was read since the partition came to us, and no smaller one again."""

    _spans: dict[Partition, _Span] = field(factory=dict, init=False)

    def read(self, record: Record) -> None:
        """This one came next."""
        span = self._spans.setdefault((record.topic, record.partition), _Span(record.offset, record.offset))
        span.read = record.offset + 1

    def offsets_after(self, records: Iterable[Record]) -> dict[Partition, int]:
        """What to store when these are done, where there is something new to store."""
        offsets: dict[Partition, int] = {}
        for record in records:
            partition = record.topic, record.partition
            span = self._spans.get(partition)
            if span is not None and span.done <= record.offset < span.read:
                offsets[partition] = max(offsets.get(partition, 0), record.offset + 1)
        return offsets

    def stored(self, offsets: Mapping[Partition, int]) -> None:
        """They are stored."""
        for partition, offset in offsets.items():
            self._spans[partition].done = offset

    def forget(self, partitions: Iterable[Partition]) -> None:
        """These went away or begin somewhere else; what was read of them does not count any more."""
        for partition in partitions:
            self._spans.pop(partition, None)
