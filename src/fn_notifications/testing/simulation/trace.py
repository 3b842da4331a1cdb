"""What happened, in order: two runs of one seed write the same, byte for byte."""

import asyncio

from attrs import define, field


@define
class Trace:
    """Lines, written out only when somebody reads them."""

    _lines: list[tuple[float, str, str, object]] = field(factory=list, init=False)

    def note(self, who: str, what: str, detail: object = "") -> None:
        """One line, at this moment."""
        self._lines.append((asyncio.get_running_loop().time(), who, what, detail))

    def text(self) -> str:
        """All of it."""
        return "".join(f"{at:14.6f} {who:10} {what} {detail}".rstrip() + "\n" for at, who, what, detail in self._lines)
