"""What `until_stopped` promises whoever sends a signal: an end, in order or not."""

import os
import signal
import subprocess
import sys

import pytest

_PROGRAM = """
import asyncio, logging
from fn_notifications.entrypoints.cli import context

logging.basicConfig(format="%(levelname)s %(message)s")
context._FAREWELL = {farewell}
context._SAME = {same}
end = asyncio.Event()


async def main():
    asyncio.get_running_loop().add_reader(0, end.set)
    for word in ("here", "stopping"):
        print(word, flush=True)
        try:
            await end.wait()
        except asyncio.CancelledError:
            if not {hanging}:
                raise
    return 7

raise SystemExit(context.until_stopped(main(), grace={grace}, when_stopped=7))
"""
_STARTED = """
import asyncio, logging, multiprocessing
from fn_notifications.entrypoints.cli import context

logging.basicConfig(format="%(levelname)s %(message)s")
context._SAME = 0.0


async def main():
    while True:
        print("here", flush=True)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

child = multiprocessing.get_context("fork").Process(target=lambda: context.until_stopped(main(), grace=60.0))
child.start()
print(child.pid, flush=True)
child.join()
"""
_STOPPING = "WARNING stopping: up to {} s for what is on the wire; again to stop at once\n"


@pytest.fixture
def start():
    """A process that stops when it is told to, or hangs until its input ends."""
    started = []

    def begin(**how):
        how = {"grace": 60.0, "farewell": 60.0, "same": 0.0} | how
        process = _run(_PROGRAM.format(**how))
        started.append(process)
        assert process.stdout.readline() == "here\n"
        return process

    yield begin
    for process in started:
        with process:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_stops_in_order_is_not_hurried(start, number):
    process = start(hanging=False)
    process.send_signal(number)
    assert _end_of(process) == (7, _STOPPING.format(60))


def test_what_does_not_stop_is_named_and_left_behind(start):
    process = start(hanging=True, grace=0.0, farewell=0.1)
    process.send_signal(signal.SIGTERM)
    said = "ERROR the time to stop is over, and still under way were: service (1)\n"
    assert _end_of(process) == (1, _STOPPING.format(0) + said)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 1), (signal.SIGINT, 130)])
def test_told_again_it_ends_at_once(start, number, code):
    process = start(hanging=True)
    for _ in range(2):
        process.send_signal(number)
        process.stdout.readline()
    said = "ERROR told again to stop, and still under way were: service (1)\n"
    assert _end_of(process) == (code, _STOPPING.format(60) + said)


def test_a_signal_that_comes_twice_in_a_moment_is_one(start):
    process = start(hanging=True, same=60.0)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "stopping\n"
    process.send_signal(signal.SIGTERM)
    process.stdin.close()
    assert _end_of(process) == (7, _STOPPING.format(60))


def test_what_another_started_is_not_hurried_but_by_its_end():
    with _run(_STARTED) as parent:
        child = int(parent.stdout.readline())
        assert parent.stdout.readline() == "here\n"
        os.kill(child, signal.SIGTERM)
        assert parent.stdout.readline() == "here\n"
        os.kill(child, signal.SIGTERM)
        parent.kill()
        assert parent.stderr.read() == "ERROR its parent is gone, and still under way were: service (1)\n"


def _run(program):
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([sys.executable, "-c", program], text=True, **pipes)


def _end_of(process):
    """Exit code and last words."""
    code = process.wait(timeout=30)
    return code, process.stderr.read()
