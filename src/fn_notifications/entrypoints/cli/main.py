"""`fn-notifications`: parse, call, say what went wrong in one sentence."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from fn_notifications import __version__
from fn_notifications.application.errors import Misconfigured, MissingExtra, PortError
from fn_notifications.domain.errors import InvalidValue
from fn_notifications.entrypoints.cli.arguments import (
    amount,
    days,
    moment,
    name,
    number,
    reason,
    remark,
    seconds,
    signature,
    span,
    user_id,
)
from fn_notifications.entrypoints.cli.capacity_arguments import add_capacity
from fn_notifications.entrypoints.cli.complaint import complain
from fn_notifications.entrypoints.registry import resolve

_COMMANDS = "fn_notifications.entrypoints.cli"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Exit codes: 0 done, 1 it failed, 2 the input or the configuration is wrong."""
    arguments = _parsed(argv)
    # A command says what went wrong itself; `serve`, `dev` and `demo` send what libraries log where logs go.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        command = resolve(f"{_COMMANDS}.{arguments.command.replace('-', '_')}:run")
        code: int = command(arguments)
    except MissingExtra as error:
        whole = "embedded" if arguments.command in ("dev", "demo") else "service"
        return complain(f"{error}\nEverything this command uses: pip install 'fn-notifications[{whole}]'", 2)
    except (InvalidValue, Misconfigured) as error:
        return complain(str(error), 2)
    except PortError as error:
        return complain(str(error), 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:
        return complain(f"{error.filename or 'output'}: {error.strerror}", 1)
    return code


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments. Words that come after an option of `send` are its variables, too: argparse leaves them over."""
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and (arguments.command != "send" or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        arguments.variables = [*arguments.variables, *rest]
    return arguments


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
    serve.add_argument("--processes", type=amount, metavar="N", help="how many share the work (PROCESSES)")

    dev = commands.add_parser("dev", help="run everything embedded, with sample events and a mailbox to look at")
    dev.add_argument("--keep", action="store_true", help="keep the data of the last run instead of starting fresh")
    dev.add_argument("--port", type=int, help="HTTP port (PORT, else 4000)")

    demo = commands.add_parser("demo", help="publish events on an embedded stack, wait until settled, report, stop")
    demo.add_argument("--events", type=Path, metavar="FILE.jsonl", help="events, one a line; default: samples")
    demo.add_argument("--preferences", type=Path, metavar="FILE.jsonl", help="preferences, one person a line")
    demo.add_argument("--json", action="store_true", help="print one JSON document to stdout, all else to stderr")
    demo.add_argument("--timeout", type=seconds, default=60.0, metavar="SECONDS", help="how long to wait (60)")

    publish = commands.add_parser("publish", help="publish events from a file, to a running `dev` or to KAFKA_HOSTS")
    publish.add_argument("file", type=Path, metavar="FILE.jsonl", help="an event a line; - for standard input")
    publish.add_argument("--topic", help="for lines that name none; default: the one that fits the event's type")

    send = commands.add_parser("send", help="send one notification to one user")
    send.add_argument("user", type=user_id, help="user id")
    send.add_argument("type", help="notification type of the catalogue")
    send.add_argument("variables", nargs="*", metavar="NAME=VALUE", help="variables of the type")
    send.add_argument("--id", help="sending the same id again sends nothing; default: a new one")
    send.add_argument("--key", help="deduplication key")
    send.add_argument("--channel", action="append", help="only on this channel (repeatable)")

    explain = commands.add_parser("explain", help="why a notification is where it is")
    explain.add_argument("id", help="notification id, delivery id or attempt id")
    explain.add_argument("--json", action="store_true", help="as JSON")

    ledger = commands.add_parser("ledger", help="what became of every event and delivery, and whether it adds up")
    ledger.add_argument("--days", type=days, metavar="N", help="of the last days only, today the first (everything)")
    ledger.add_argument("--json", action="store_true", help="as JSON")

    _add_doubts(commands)
    _add_operating(commands)
    _add_custody(commands)

    preferences = commands.add_parser("preferences", help="store people's preferences from a file")
    preferences.add_argument("file", type=Path, metavar="FILE.jsonl", help="a person a line; - for standard input")

    check = commands.add_parser("check", help="say whether the configuration can work, without starting")
    check.add_argument("--offline", action="store_true", help="the configuration alone, reaching nothing")
    check.add_argument("--embedded", action="store_true", help="as `serve --embedded` would see it")

    add_capacity(commands)

    commands.add_parser("migrate", help="bring the database's schema up to date")

    topics = commands.add_parser("topics", help="Kafka topics").add_subparsers(dest="action", required=True)
    topics.add_parser("create", help="create the topics that are missing, with the guide's partitions and retention")
    return parser


def _add_doubts(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """What nobody can know."""
    in_doubt = commands.add_parser("in-doubt", help="what nobody can know whether it was sent, and an operator decides")
    in_doubt.add_argument("--all", action="store_true", help="also what is left to the provider's report for now")
    in_doubt.add_argument("--limit", type=amount, default=100, metavar="N", help="how many, the oldest first (100)")
    in_doubt.add_argument("--json", action="store_true", help="as JSON")

    ruling = commands.add_parser("resolve", help="decide about a delivery in doubt, or about many")
    ruling.add_argument("id", nargs="?", help="delivery id, or a notification id with --channel")
    ruling.add_argument("--channel", type=name, help="which delivery of the notification")
    what = ruling.add_mutually_exclusive_group()
    what.add_argument("--type", type=name, help="in place of an id: all of this type that wait for an operator")
    what.add_argument("--route", type=name, help="all that were tried by this route, such as twilio/sms")
    what.add_argument("--all-in-doubt", action="store_true", help="all that wait for an operator")
    ruling.add_argument("--before", type=moment, metavar="TIME", help="tried before; ISO 8601; needed for many")
    ruling.add_argument("--yes", action="store_true", help="do it to many without asking")
    ruling.add_argument("--as", dest="ruling", required=True, choices=("sent", "failed", "resend"), metavar="RULING")
    ruling.add_argument(
        "--reason", type=reason, required=True, metavar="TEXT", help="one line; kept, and shown by explain"
    )
    _add_by(ruling)


def _add_operating(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The stop button, and which way things go."""
    for verb, help_ in (("pause", "hold back a type, a channel, a route or everything"), ("resume", "end a pause")):
        command = commands.add_parser(verb, help=help_)
        what = command.add_mutually_exclusive_group(required=True)
        what.add_argument("--type", type=name, help="notification type of the catalogue")
        what.add_argument("--channel", type=name, help="email, sms or whatsapp")
        what.add_argument("--route", type=name, help="provider and channel, such as twilio/sms")
        what.add_argument("--all", action="store_true", help="everything")
        if verb == "pause":
            _add_remark(command, "one line, for whoever asks why")
        _add_by(command)

    holds = commands.add_parser("holds", help="what is held back, and how the routes stand")
    holds.add_argument("--json", action="store_true", help="as JSON")

    pin = commands.add_parser("pin", help="try one route of its channel first, for a while")
    pin.add_argument("route", help="provider and channel, such as twilio/sms")
    pin.add_argument("--for", dest="span", type=span, required=True, metavar="TIME", help="such as 30m or 2h")
    _add_remark(pin, "one line, for whoever asks why")
    _add_by(pin)

    unpin = commands.add_parser("unpin", help="back to the configured order")
    unpin.add_argument("route", help="provider and channel, such as twilio/sms")
    _add_by(unpin)

    cancel = commands.add_parser("cancel", help="cancel what a type still has to send")
    cancel.add_argument("--type", type=name, required=True, help="notification type of the catalogue")
    cancel.add_argument("--before", type=moment, required=True, metavar="TIME", help="planned before; ISO 8601")
    cancel.add_argument("--yes", action="store_true", help="do it without asking")
    _add_remark(cancel, "one line; kept, and shown by explain")
    _add_by(cancel)


def _add_remark(command: argparse.ArgumentParser, help_: str) -> None:
    command.add_argument("--reason", type=remark, default="", metavar="TEXT", help=help_)


def _add_by(command: argparse.ArgumentParser) -> None:
    command.add_argument("--by", type=signature, metavar="NAME", help="who asks (the operating system's user)")


def _add_custody(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """What was kept instead of being said."""
    quarantine = commands.add_parser("quarantine", help="events held for an operator")
    actions = quarantine.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="what is held, the oldest event first")
    release = actions.add_parser("release", help="take it in as if it came now")
    thin = actions.add_parser("thin", help="release the newest of each person and type, discard the others")
    discard = actions.add_parser("discard", help="never tell any of it")
    for action in (listing, release, thin, discard):
        action.add_argument("--type", type=name, help="notification type")
        action.add_argument("--user", type=name, help="user id")
        action.add_argument("--reason", choices=("replayed", "flooded", "unreadable"), metavar="REASON", help="why")
    for action in (release, thin, discard):
        action.add_argument("--all", action="store_true", help="everything that is held")
    thin.add_argument("--keep", type=amount, default=1, metavar="N", help="how many per person and type (1)")
    letters = commands.add_parser("dead-letters", help="events that could not be used")
    letter_actions = letters.add_subparsers(dest="action", required=True)
    letters_listing = letter_actions.add_parser("list", help="the newest, newest first")
    replay = letter_actions.add_parser("replay", help="take one in again, as if it came now")
    replay.add_argument("id", type=number, metavar="ID", help="as listed")
    for listed in (listing, letters_listing):
        listed.add_argument("--limit", type=amount, default=100, metavar="N", help="how many (100)")
        listed.add_argument("--json", action="store_true", help="as JSON")


if __name__ == "__main__":
    sys.exit(main())
