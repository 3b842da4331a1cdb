"""What is wrong with a configuration, said by the names its author used and never by the values."""

from collections.abc import Iterable

from attrs import frozen

from fn_notifications.application.errors import Misconfigured


@frozen
class Problem:
    """One thing to mend. `where` names the variables as they were written; `what` says what was expected."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class SettingsError(Misconfigured):
    """The configuration cannot work. The message lists every offending variable and holds no value of any.

    `hints` are sentences about names that nothing reads: a missing variable may be one of them, misspelt.
    """

    def __init__(self, problems: Iterable[Problem], hints: Iterable[str] = ()) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"The configuration cannot work ({count} problem{'s' if count > 1 else ''}):"
        lines = [f"  - {problem}" for problem in self.problems]
        super().__init__("\n".join([head, *lines, *(f"  ? {hint}" for hint in hints)]))
