"""Print docs/explanation/lifecycle.md, made from the table that the delivery's state machine runs by."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, get_args

from fn_notifications.domain import events as e
from fn_notifications.domain.lifecycle import OPEN, RELEASING, TRANSITIONS, Status

Transition = tuple[Status | None, type[e.Event], Status]

_FINDINGS: Final = (e.Sent, e.Delivered, e.Failed, e.Doubted)
_EXPECTED: Final[Mapping[Status | None, tuple[type[e.Event], ...]]] = {
    Status.SENDING: _FINDINGS,
    Status.IN_DOUBT: _FINDINGS,
    Status.SENT: (e.Delivered, e.Failed),
}
"""States in which these are waited for. In any other they come late."""

_HEAD: Final = """\
# How a delivery lives

<!-- Made by scripts/render_lifecycle.py; a test compares the two. -->

A delivery is a notification on one channel. What happened to it is a list of events, and its state follows from them by
one table, `TRANSITIONS` in `fn_notifications.domain.lifecycle`: the engine runs by it, the tests walk it, this page is
made from it. An event that the table does not know is refused and changes nothing.
"""

_LATE: Final = """\
## What comes late

A report is about an attempt and may come in any state: after a retry, after the delivery expired, twice, in any order.
It raises what is known of its attempt or does nothing, and the state is always what the attempts prove and what was
decided, so the order does not show. These transitions happen only by reports (or answers) that were not waited for any
more:
"""

_ALL: Final = """\
## Every event
"""


def _open_and_releasing() -> str:
    return (
        f"In {_listed(OPEN)} something will still be done by us. A notification whose deliveries\n"
        f"all ended {_listed(RELEASING)} said nothing, and lets the next one with its\n"
        "deduplication key through.\n"
    )


def _listed(statuses: Iterable[Status]) -> str:
    names = [f"`{status}`" for status in Status if status in set(statuses)]
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]


def _moves() -> Iterator[Transition]:
    """Every transition but notes, which happen everywhere and move nothing."""
    for (status, event), target in TRANSITIONS.items():
        if event is not e.Noted:
            yield status, event, target


def _is_late(status: Status | None, event: type[e.Event]) -> bool:
    return event in _FINDINGS and event not in _EXPECTED.get(status, ())


def _diagram(moves: Iterable[Transition]) -> str:
    """One arrow per pair of states, with every event that takes it."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for status, event, target in moves:
        arrows.setdefault((status or "[*]", target), []).append(event.__name__)
    lines = [f"    {source} --> {target}: {', '.join(events)}" for (source, target), events in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```", ""])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows)]
    return "\n".join([*lines, ""])


def _late_rows() -> Iterator[tuple[str, str, str]]:
    for event in _FINDINGS:
        moves = [(status, target) for status, kind, target in _moves() if kind is event and _is_late(status, kind)]
        sources = [status for status, _ in moves if status is not None]
        yield f"`{event.__name__}`", ", ".join(f"`{source}`" for source in sources), f"`{moves[0][1]}`"


def _event_rows() -> Iterator[tuple[str, str, str, str]]:
    for event in get_args(e.Event):
        sources = [status for status, kind in TRANSITIONS if kind is event]
        targets = dict.fromkeys(target for (_, kind), target in TRANSITIONS.items() if kind is event)
        everywhere = set(sources) == set(Status)
        yield (
            f"`{event.__name__}`",
            " ".join((event.__doc__ or "").partition("\n\n")[0].split()),
            "any" if everywhere else ", ".join(f"`{source}`" if source else "nothing yet" for source in sources),
            "the same" if everywhere else ", ".join(f"`{target}`" for target in targets),
        )


def render() -> str:
    """The whole page."""
    return (
        "\n".join(
            [
                _HEAD,
                _diagram(move for move in _moves() if not _is_late(*move[:2])),
                _open_and_releasing(),
                _LATE,
                _table(("event", "in", "leads to"), _late_rows()),
                _ALL,
                _table(("event", "what happened", "in", "leads to"), _event_rows()),
            ]
        ).rstrip("\n")
        + "\n"
    )


if __name__ == "__main__":
    print(render(), end="")
