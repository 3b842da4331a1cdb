"""`fn-notifications`: parse, call, say what went wrong in one sentence."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from fn_notifications import __version__
from fn_notifications.application.errors import Misconfigured, MissingExtra, PortError
from fn_notifications.entrypoints.registry import resolve

_COMMANDS = "fn_notifications.entrypoints.cli"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Exit codes: 0 done, 1 it failed, 2 the input or the configuration is wrong."""
    arguments = _parser().parse_args(argv)
    # A command says what went wrong itself; `serve`, `dev` and `demo` send what libraries log where logs go.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        command = resolve(f"{_COMMANDS}.{arguments.command}:run")
        code: int = command(arguments)
    except MissingExtra as error:
        whole = "embedded" if arguments.command in ("dev", "demo") else "service"
        return _complain(f"{error}\nEverything this command uses: pip install 'fn-notifications[{whole}]'", 2)
    except Misconfigured as error:
        return _complain(str(error), 2)
    except PortError as error:
        return _complain(str(error), 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:
        return _complain(f"{error.filename or 'output'}: {error.strerror}", 1)
    return code


def _complain(text: str, code: int) -> int:
    print(f"fn-notifications: {text}", file=sys.stderr)
    return code


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(text)
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fn-notifications",
        description="Decides who should hear of what, on which channel, when and whether at all, and says why.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the service on what is configured")
    serve.add_argument("--role", action="append", metavar="ROLE", help="run this loop only (repeatable): intake, …")
    serve.add_argument("--embedded", action="store_true", help="embed the parts that are not configured")
    serve.add_argument("--port", type=int, help="HTTP port (PORT)")

    dev = commands.add_parser("dev", help="run everything embedded, with sample events and a mailbox to look at")
    dev.add_argument("--keep", action="store_true", help="keep the data of the last run instead of starting fresh")
    dev.add_argument("--port", type=int, help="HTTP port (PORT, else 4000)")

    demo = commands.add_parser("demo", help="publish events on an embedded stack, wait until settled, report, stop")
    demo.add_argument("--events", type=Path, metavar="FILE.jsonl", help="events, one a line; default: samples")
    demo.add_argument("--preferences", type=Path, metavar="FILE.jsonl", help="preferences, one person a line")
    demo.add_argument("--json", action="store_true", help="print one JSON document to stdout, all else to stderr")
    demo.add_argument("--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="how long to wait (60)")

    publish = commands.add_parser("publish", help="publish events from a file, to a running `dev` or to KAFKA_HOSTS")
    publish.add_argument("file", type=Path, metavar="FILE.jsonl", help="an event a line; - for standard input")
    publish.add_argument("--topic", help="for lines that name none; default: the one that fits the event's type")

    send = commands.add_parser("send", help="send one notification to one user")
    send.add_argument("user", help="user id")
    send.add_argument("type", help="notification type of the catalogue")
    send.add_argument("variables", nargs="*", metavar="NAME=VALUE", help="variables of the type")
    send.add_argument("--id", help="sending the same id again sends nothing; default: a new one")
    send.add_argument("--key", help="deduplication key")
    send.add_argument("--channel", action="append", help="only on this channel (repeatable)")

    explain = commands.add_parser("explain", help="why a notification is where it is")
    explain.add_argument("id", help="notification id, delivery id or attempt id")
    explain.add_argument("--json", action="store_true", help="as JSON")

    ledger = commands.add_parser("ledger", help="what became of every event and delivery, and what is still to be done")
    ledger.add_argument("--json", action="store_true", help="as JSON")

    preferences = commands.add_parser("preferences", help="store people's preferences from a file")
    preferences.add_argument("file", type=Path, metavar="FILE.jsonl", help="a person a line; - for standard input")

    check = commands.add_parser("check", help="say whether the configuration can work, without starting")
    check.add_argument("--offline", action="store_true", help="the configuration alone, reaching nothing")
    check.add_argument("--embedded", action="store_true", help="as `serve --embedded` would see it")

    commands.add_parser("migrate", help="bring the database's schema up to date")

    topics = commands.add_parser("topics", help="Kafka topics").add_subparsers(dest="action", required=True)
    topics.add_parser("create", help="create the topics that are missing, with the guide's partitions and retention")
    return parser


if __name__ == "__main__":
    sys.exit(main())
