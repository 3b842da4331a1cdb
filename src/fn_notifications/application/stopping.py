"""Being told to stop."""

import asyncio


def told_to_stop() -> bool:
    """Whether this task was cancelled, even if what it awaited then swallowed that.

    `asyncio.wait_for` does before Python 3.12, when what it waits for is done at the same moment (CPython issue 86296),
    and drivers are built on it. A loop that goes round until it is cancelled asks here each time.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
