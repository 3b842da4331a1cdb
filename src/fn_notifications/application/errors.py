"""What a port may raise. An answer, even an unwelcome one, is a value; an exception means there was none."""


class PortError(Exception):
    """Something outside did not do its part. Messages name no address and no secret."""


class Unavailable(PortError):
    """The other side could not be reached or did not answer; the same call may succeed later."""


class Conflict(PortError):
    """Somebody else changed the same thing first; read again and decide anew."""


class Misconfigured(PortError):
    """The configuration cannot work; the message says what to change."""


class MissingExtra(Misconfigured):
    """An optional dependency is not installed; the message holds the pip line."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional dependency: pip install 'fn-notifications[{extra}]'")
        self.extra = extra


class Refused(PortError):
    """The other side understood and cannot take some value; the same call will fail again."""
