"""From `build/bench.json` to the figures that are shipped, and to every table of the documentation that shows some.

`python scripts/render_figures.py build/bench.json [build/bench-peers.json]`, on the machine that made them. Without the
second the peers' figures stay as they are; without any file the pages are rendered anew from what is shipped.
"""

import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Final

from fn_notifications import __version__
from fn_notifications.domain.address import EMAIL, SMS, Channel
from fn_notifications.entrypoints.capacity.demand import Demand
from fn_notifications.entrypoints.capacity.figures import figures_of
from fn_notifications.entrypoints.capacity.sizing import plan_for
from fn_notifications.entrypoints.cli.main import main as command_line

Document = Mapping[str, Any]

ROOT: Final = Path(__file__).parents[1]
SHIPPED: Final = ROOT / "src/fn_notifications/entrypoints/capacity/figures.json"
PAGES: Final = (ROOT / "docs/reference/figures.md", ROOT / "docs/explanation/capacity.md")
EXAMPLE: Final = (
    "fn-notifications capacity --rate 1000 --channels email=0.9,sms=0.2 --call-ms email=120,sms=300 "
    "--limits sms=250 --daily 10000000 --retention 90"
)
_BLOCK: Final = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

_RATIOS: Final = {
    "dispatch_vs_bare": "`dispatch_vs_bare`: stored deliveries to committed outcomes, against the same by hand",
    "two_processes_vs_one": "`two_processes_vs_one`: `dispatch` by two processes, on the same two cores",
    "dispatch_vs_bare_50ms": "`dispatch_vs_bare_50ms`: with a provider that takes 50 ms, 200 calls on the wire",
    "pipeline_vs_bare": "`pipeline_vs_bare`: events in Kafka to published results, against the same by hand",
    "email_batch_vs_dispatch": "`email_batch_vs_dispatch`: a hundred emails in each call against one",
    "growth_1m_vs_10k": "`growth_1m_vs_10k`: one million settled deliveries in the tables against ten thousand",
    "cold_empty_vs_warm": "`cold_empty_vs_warm`: a database's first events against those after a vacuum",
    "cold_bulk_vs_warm": "`cold_bulk_vs_warm`: right after 100,000 deliveries were stored against after a vacuum",
    "dispatch_vs_celery": "`dispatch_vs_celery` (Redis, SQLAlchemy, SendGrid's SDK)",
    "dispatch_vs_procrastinate": "`dispatch_vs_procrastinate`",
    "dispatch_vs_pgqueuer": "`dispatch_vs_pgqueuer`",
}
_RATES: Final = {
    "dispatch": "`dispatch`",
    "bare_dispatch": "`bare_dispatch`",
    "dispatch_two": "`dispatch` by two processes",
    "pipeline": "`pipeline`",
    "bare_pipeline": "`bare_pipeline`",
    "email_batch": "`email_batch`: a hundred in each call",
    "email_alone": "`email_alone`: the same, one in each",
    "intake": "`intake` alone",
    "relay": "`relay` alone",
    "receipts": "`receipts` alone, signed batches of 100",
    "domain": "`domain`: plan, begin and record two channels, no I/O",
}
_WAITS: Final = {
    "latency_10": "event to call, at 10 % of the peak",
    "latency_50": "at 50 %",
    "latency_80": "at 80 %",
    "urgent_while_100k_wait": "an urgent one, while 100,000 others are worked off",
}
_SIZES: Final = (
    ("kept in PostgreSQL for one notification of one email, before any vacuum", "pipeline", "bytes_kept", 1e-3, "kB"),
    ("written to its log for it", "pipeline", "wal_bytes", 1e-3, "kB"),
    ("kept for one report about it", "receipts", "bytes_kept", 1e-3, "kB"),
    ("written to its log for that", "receipts", "wal_bytes", 1e-3, "kB"),
    ("resident memory of a dispatcher after 10,000 deliveries", "memory", "resident_mb", 1, "MB"),
    ("`dev`, embedded broker included: start to first delivery", "dev", "seconds_to_first_delivery", 1, "s"),
    ("`dev`: resident memory, fresh", "dev", "resident_mb_fresh", 1, "MB"),
    ("`dev`: resident memory after 5,000 deliveries", "dev", "resident_mb_after", 1, "MB"),
)
_CARRIED: Final[Mapping[str, tuple[Channel, int]]] = {
    "one email, alone in its call": (EMAIL, 1),
    "one email, ten in a call": (EMAIL, 10),
    "one SMS": (SMS, 1),
}


def trimmed(bench: Document, peers: Document) -> Document:
    """What is shipped of a run: medians, and the rates and ratios of its rounds."""
    compared = [name for name in peers.get("ratios", ()) if name not in bench["ratios"]]
    return {
        "measured": {
            "version": f"fn-notifications {__version__}",
            "machine": f"{os.cpu_count()} cores of {_processor()}",
            "python": f"Python {platform.python_version()}",
        },
        "ratios": bench["ratios"] | {name: peers["ratios"][name] for name in compared},
        **{kind: bench[kind] for kind in ("rates", "cpu_ms", "latency_ms", "more")},
        "rounds": {name: [{"rate": one["rate"]} for one in each] for name, each in bench["rounds"].items()},
        "ratios_by_round": bench["ratios_by_round"] | {name: peers["ratios_by_round"][name] for name in compared},
    }


def filled(page: str, document: Document) -> str:
    """A page with its blocks made anew."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{BLOCKS[block[2]](document)}\n\n{block[3]}", page)


def _measured(document: Document) -> str:
    return f"Measured: {figures_of(document, SHIPPED.name).measured}."


def _ratios(document: Document) -> str:
    return _table(
        ("ratio of rates", "", "lowest to highest"),
        (
            (text, _short(document["ratios"][name]), _spread(document["ratios_by_round"][name]))
            for name, text in _RATIOS.items()
            if name in document["ratios"]
        ),
    )


def _rates(document: Document) -> str:
    def row(name: str, text: str) -> tuple[str, ...]:
        cpu = document["cpu_ms"][name]
        used = " + ".join(_short(cpu[who]) for who in ("worker", "postgres") if who in cpu)
        return text, _short(document["rates"][name]), _spread([one["rate"] for one in document["rounds"][name]]), used

    rows = (row(name, text) for name, text in _RATES.items() if document["rates"].get(name))
    return _table(("", "units/s", "lowest to highest", "CPU ms each: service + PostgreSQL"), rows)


def _waits(document: Document) -> str:
    found = ((text, document["latency_ms"].get(name)) for name, text in _WAITS.items())
    rows = ((text, *(f"{each[part]:.0f} ms" for part in ("p50", "p95", "p99"))) for text, each in found if each)
    return _table(("", "p50", "p95", "p99"), rows)


def _sizes(document: Document) -> str:
    found = ((text, document["more"].get(name, {}).get(what), size, unit) for text, name, what, size, unit in _SIZES)
    rows = ((text, f"{_short(value * size)} {unit}") for text, value, size, unit in found if value is not None)
    return _table(("", ""), rows)


def _carried(document: Document) -> str:
    """What one core carries, by the calculator's own model: an event, its delivery, and two reports about it."""
    figures = figures_of(document, SHIPPED.name)

    def row(text: str, channel: Channel, batch: int) -> tuple[str, ...]:
        demand = Demand(
            rate=1, channels={channel: 1}, batch=batch, reports=2, daily=None, retention=1, cores=1, utilisation=1,
            backlog=1,
        )  # fmt: skip
        plan = plan_for(demand, figures)
        service, postgres = 1 / plan.service_cores, 1 / plan.postgres_cores
        return text, f"{service:,.0f} /s", f"{postgres:,.0f} /s", f"{postgres / service:.1f}"

    head = ("an event that makes", "one process", "one core of PostgreSQL", "processes that keep such a core busy")
    return _table(head, (row(text, *of) for text, of in _CARRIED.items()))


def _checked(document: Document) -> str:
    """The parts added up, beside the whole that was measured at once."""
    figures = figures_of(document, SHIPPED.name)
    parts, whole = (figures.intake, figures.alone, figures.relay), document["cpu_ms"]["pipeline"]
    added = " + ".join(
        f"{sum(one):.2f}" for one in zip(*((part.service, part.postgres) for part in parts), strict=True)
    )
    return (
        f"Added up, an event that becomes one email, taken in, sent and published, costs {added} ms (service +\n"
        f"PostgreSQL). The same measured in one go: {whole['worker']:.2f} + {whole['postgres']:.2f} ms."
    )


def _example(_: Document) -> str:
    printed = StringIO()
    with redirect_stdout(printed):
        command_line(shlex.split(EXAMPLE)[1:])
    options = EXAMPLE.replace(" --call-ms", " \\\n    --call-ms").replace(" --daily", " \\\n    --daily")
    return f"```console\n$ {options}\n{printed.getvalue()}```"


BLOCKS: Final[Mapping[str, Callable[[Document], str]]] = {
    "measured": _measured,
    "ratios": _ratios,
    "rates": _rates,
    "waits": _waits,
    "sizes": _sizes,
    "carried": _carried,
    "checked": _checked,
    "example": _example,
}


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    def line(cells: Iterable[str]) -> str:
        return "".join(f"| {cell} " if cell else "| " for cell in cells) + "|"

    return "\n".join([line(head), "|---" * len(head) + "|", *map(line, rows)])


def _spread(values: Iterable[float]) -> str:
    ordered = sorted(values)
    return "" if len(ordered) == 1 else f"{_short(ordered[0])} to {_short(ordered[-1])}"


def _short(value: float) -> str:
    """Three digits that count, or all before the point; no more than three behind it."""
    if value >= 100:
        digits = len(f"{value:.0f}") - 3
        return f"{round(value, -digits):,.0f}"
    return f"{value:.{3 if value < 0.1 else 2 if value < 10 else 1}f}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.+)$", info.read_text("utf-8"), re.MULTILINE) if info.exists() else []
    return names[0] if names else platform.machine()


def _read(files: Iterable[str]) -> Iterator[Document]:
    for file in files:
        yield json.loads(Path(file).read_text("utf-8"))


def main() -> None:
    """Write the shipped figures, if there is a run, and the pages."""
    if runs := list(_read(sys.argv[1:])):
        bench, peers = (*runs, *_read([str(SHIPPED)]))[:2]
        figures_of(bench, sys.argv[1])
        SHIPPED.write_text(json.dumps(trimmed(bench, peers), indent=2) + "\n", encoding="utf-8")
    document = json.loads(SHIPPED.read_text("utf-8"))
    for page in PAGES:
        page.write_text(filled(page.read_text("utf-8"), document), encoding="utf-8")


if __name__ == "__main__":
    main()
