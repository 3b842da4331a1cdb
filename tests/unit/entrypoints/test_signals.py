"""What `until_stopped` promises whoever sends a signal: an end, in order or not."""

import signal
import subprocess
import sys

import pytest

_PROGRAM = """
import asyncio, logging
from fn_notifications.entrypoints.cli import context

logging.basicConfig()
context._FAREWELL = 0.1


async def main():
    while True:
        print("here", flush=True)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not {hanging}:
                raise

raise SystemExit(context.until_stopped(main(), grace=0.0 if {hanging} else 60.0, when_stopped=7))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_stops_in_order_is_not_hurried(number):
    assert _stopped(number, hanging=False) == (7, "")


def test_what_does_not_stop_is_named_and_left_behind():
    code, said = _stopped(signal.SIGTERM, hanging=True)
    where, _, what = said.partition(":the time to stop is over, and still under way were: ")
    assert (code, where, what) == (1, "ERROR:fn_notifications.entrypoints.cli.context", "service (1)\n")


def _stopped(number, *, hanging):
    """Exit code and last words of a process that got a signal."""
    program = [sys.executable, "-c", _PROGRAM.format(hanging=hanging)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "here\n"
            process.send_signal(number)
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
    return process.returncode, said
