"""What went wrong, said in one sentence. Imports nothing, so that it can be said whatever is missing."""

import sys


def complain(text: str, code: int = 2) -> int:
    """Say what is wrong, with the arguments unless the exit code says otherwise. Returns that."""
    print(f"fn-notifications: {text}", file=sys.stderr)
    return code
