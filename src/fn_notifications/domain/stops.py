"""What is shut, and what opens it again: a provider's account, a route, or a country on a route.

An answer says something about the widest thing it will be true of again (see `Scope`). Nothing here counts failures:
whether one too many has come is for a process to find out; that something is shut is true for all of them.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from attrs import evolve, frozen

from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope

_PATIENCE: Final = timedelta(minutes=2)
"""How long a probe may go without a result, at most: whoever sent it has lost its lease by then."""
_LONGEST: Final = timedelta(minutes=15)
"""Probes that fail come ever later, but after a repair nobody waits longer than this."""


class Passage(IntEnum):
    """How a way out stands."""

    OPEN = 0
    """Anything may go."""
    PROBE = 1
    """One call may go, and its answer decides."""
    SHUT = 2


@frozen(kw_only=True)
class Stop:
    """Why nothing goes a certain way. After `until` one call at a time finds out whether it is over; a stop whose end
    the provider named itself is simply over then.
    """

    what: str
    """An account, a route, or a route and a country: see `names`."""
    scope: Scope
    since: datetime
    until: datetime
    code: str | None
    span: timedelta
    """How long it lasts the first time."""
    probes: bool = True
    times: int = 1
    """How often in a row it was found shut."""
    probe_since: datetime | None = None
    probe_until: datetime | None = None

    def passage(self, now: datetime) -> Passage:
        """How it stands. A clock that was set back ends every wait: that costs a probe, and shuts nothing for good."""
        if self.since <= now < self.until:
            return Passage.SHUT
        if not self.probes:
            return Passage.OPEN
        return Passage.SHUT if self._probed(now) else Passage.PROBE

    def free_at(self, now: datetime) -> datetime:
        """When something may go again, as far as is known."""
        if self.since <= now < self.until:
            return self.until
        return self.probe_until if self.probe_until and self._probed(now) else now

    def taken(self, now: datetime) -> "Stop":
        """With a probe on its way."""
        return evolve(self, probe_since=now, probe_until=now + min(self.span, _PATIENCE))

    def mended(self, now: datetime) -> "Stop":
        """Somebody says it is over: the next call finds out."""
        return evolve(self, until=now, probe_since=None, probe_until=None)

    def again(self, now: datetime, code: str | None, pause: timedelta | None) -> "Stop":
        """Found shut once more: for twice as long each time, within bounds."""
        longer = min(self.span * 2.0 ** min(self.times, 16), max(self.span, _LONGEST))
        return evolve(
            self,
            until=now + max(longer, pause or timedelta()),
            code=code,
            times=self.times + 1,
            probe_since=None,
            probe_until=None,
        )

    def _probed(self, now: datetime) -> bool:
        return bool(self.probe_since and self.probe_until and self.probe_since <= now < self.probe_until)


@frozen(kw_only=True)
class Word:
    """What the answer to one call says about the way it went."""

    route: str
    country: str | None
    """The calling code it went to."""
    began: datetime
    """When its attempt began, by the store's time: an older call knows nothing of what was shut after it."""
    works: bool = False
    """The provider answered as one that works, at least for other countries."""
    bad: Scope | None = None
    """What it found shut."""
    code: str | None = None
    pause: timedelta | None = None
    """Asked for by the provider."""
    span: timedelta = timedelta(minutes=5)

    @property
    def asks_to_wait(self) -> bool:
        """Whether the route is to rest for a time that the provider named, and is not found to be broken."""
        return self.bad is Scope.ROUTE and self.pause is not None


@frozen(kw_only=True)
class Turn:
    """Something was shut, or opened again."""

    stop: Stop
    shut: bool


_SCOPES: Final = (Scope.ACCOUNT, Scope.ROUTE, Scope.DESTINATION)
"""In the order of `names`."""


def account_of(route: str) -> str:
    """A route is named provider/channel: the provider's account."""
    return route.partition("/")[0]


def channel_of(route: str) -> str:
    """What it carries."""
    return route.rpartition("/")[2]


def names(route: str, country: str | None) -> tuple[str, ...]:
    """Everything that can be shut on the way to a country by a route, widest first."""
    narrow = (f"{route}{country}",) if country else ()
    return account_of(route), route, *narrow


def word_of(
    outcome: Outcome, *, route: str, country: str | None, began: datetime, span: timedelta, asked: bool = True
) -> Word:
    """What an outcome says about its way. `asked`: whether the provider was called at all.

    A destination's answer that names a time is about the hours there, not about the country; ours to stop (`stopped`)
    says nothing.
    """
    works, bad = _said(outcome, country) if asked else (False, None)
    broken = bad is Scope.ROUTE and outcome.kind is OutcomeKind.IN_DOUBT
    return Word(
        route=route,
        country=country,
        began=began,
        works=works,
        bad=bad,
        code=outcome.code,
        pause=None if broken else outcome.retry_after,
        span=span,
    )


def _said(outcome: Outcome, country: str | None) -> tuple[bool, Scope | None]:
    """Whether the provider works, and what it found shut."""
    match outcome.kind, outcome.scope:
        case OutcomeKind.IN_DOUBT, _:
            return False, None if outcome.code == "stopped" else Scope.ROUTE
        case OutcomeKind.UNSENT, (Scope.ROUTE | Scope.ACCOUNT) as scope:
            return False, scope
        case OutcomeKind.UNSENT, Scope.DESTINATION if country and outcome.retry_after is None:
            return True, Scope.DESTINATION
        case _:
            return True, None


def after(stops: Mapping[str, Stop], words: Iterable[Word], now: datetime) -> tuple[Mapping[str, Stop], list[Turn]]:
    """The stops once these answers are known, and what turned.

    In whatever order several processes tell what they learnt, they agree on what is shut: a call that began before a
    stop neither ends nor prolongs it, and only a probe opens what it was let through.
    """
    stops = {what: stop for what, stop in stops.items() if stop.probes or stop.passage(now) is Passage.SHUT}
    turns = list[Turn]()
    for word in words:
        for scope, what in zip(_SCOPES, names(word.route, word.country), strict=False):
            before = stops.get(what)
            if word.bad is scope:
                stops[what] = shut = _shut(before, what, word, now)
                if shut.probes and not (before and before.probes and before.since == shut.since):
                    turns.append(Turn(stop=shut, shut=True))
            elif before and before.probe_since and word.began >= before.probe_since:
                if word.works:
                    del stops[what]
                    turns.append(Turn(stop=before, shut=False))
                else:
                    stops[what] = evolve(before, probe_since=None, probe_until=None)
    return stops, turns


def _shut(before: Stop | None, what: str, word: Word, now: datetime) -> Stop:
    pause = word.pause or timedelta()
    fresh = Stop(
        what=what,
        scope=word.bad or Scope.ROUTE,
        since=now,
        until=now + (pause if word.asks_to_wait else max(word.span, pause)),
        code=word.code,
        span=word.span,
        probes=not word.asks_to_wait,
    )
    if before is None or (not before.probes and before.passage(now) is Passage.OPEN):
        return fresh
    if word.asks_to_wait:
        # The provider answered, so a probe on its way is over; another may go when the pause is.
        mine = before.probe_since is not None and word.began >= before.probe_since
        before = evolve(before, probe_since=None, probe_until=None) if mine else before
        return evolve(before, until=max(before.until, fresh.until))
    if not before.probes:
        return evolve(fresh, until=max(before.until, fresh.until))
    if word.began < (before.probe_since or before.since) or before.since <= now < before.until:
        return before
    return before.again(now, word.code, word.pause)
