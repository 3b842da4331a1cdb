"""Trouble that comes by itself and lasts a while. Mostly when there is something going on to be troubled."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any, Final

from attrs import define

from fn_notifications.testing.simulation.alarm import News
from fn_notifications.testing.simulation.broker import Broker
from fn_notifications.testing.simulation.faults import Fault
from fn_notifications.testing.simulation.host import Host
from fn_notifications.testing.simulation.provider import Mode, Providers
from fn_notifications.testing.simulation.surroundings import Surroundings

_MODES: Final[Mapping[Fault, Mode]] = {
    Fault.ROUTE_DOWN: Mode.DOWN,
    Fault.ROUTE_THROTTLED: Mode.THROTTLED,
    Fault.ROUTE_HANGS: Mode.HANGS,
    Fault.ROUTE_SLOW: Mode.SLOW,
    Fault.ACCOUNT_STOPPED: Mode.STOPPED,
    Fault.DESTINATION_STOPPED: Mode.CLOSED,
}
_SPANS: Final = (5.0, 60.0, 300.0, 3600.0)
_SKEWS: Final = (-7200.0, -30.0, 1.0, 45.0, 300.0, 7200.0)


@define(eq=False, repr=False)
class Nemesis:
    """Brings trouble, and in the end takes it all back."""

    around: Surroundings
    hosts: list[Host]
    broker: Broker
    providers: Providers

    def strike(self, fault: Fault) -> "Coroutine[Any, Any, None] | None":
        """One piece of trouble, from beginning to end; None for what is none of this one's business."""
        if fault in _MODES:
            return self._route(_MODES[fault])
        troubles: Mapping[Fault, Callable[[], Coroutine[Any, Any, None]]] = {
            Fault.STORE_OUT: self._store_out,
            Fault.STORE_CUT: self._store_cut,
            Fault.STORE_CLOCK_BACK: self._clock_back,
            Fault.BROKER_OUT: self._broker_out,
            Fault.REBALANCE: self.broker.rebalance,
            Fault.WEBHOOKS_OUT: self._webhooks_out,
            Fault.OWN_CLOCK: self._own_clock,
        }
        return troubles[fault]() if fault in troubles else None

    async def heal(self) -> None:
        """All is well from now on."""
        weather = self.around.weather
        weather.store_out = weather.webhooks_out = False
        weather.store_cut.clear()
        self.broker.stream.come_up()
        for route in self.providers.modes:
            self.providers.modes[route] = Mode.WELL
        for host in self.hosts:
            host.wake()
        await self.broker.rebalance()
        self.around.alarm.ring(*News)

    def _span(self) -> float:
        return self.around.dice.random.choice(_SPANS) * (0.5 + self.around.dice.chance())

    async def _route(self, mode: Mode) -> None:
        routes = list(self.providers.modes)
        first = self.around.dice.random.choice(routes)
        account = first.partition("/")[0]
        hit = [one for one in routes if one.partition("/")[0] == account] if mode is Mode.STOPPED else [first]
        for route in hit:
            self.providers.modes[route] = mode
        await asyncio.sleep(self._span())
        for route in hit:
            self.providers.modes[route] = Mode.WELL

    async def _store_out(self) -> None:
        self.around.watch.cut_off(None, Fault.STORE_OUT)
        self.around.weather.store_out = True
        await asyncio.sleep(self._span())
        self.around.weather.store_out = False

    async def _store_cut(self) -> None:
        life = self.around.dice.random.choice(self.hosts).life
        assert life
        self.around.watch.cut_off(life.name, Fault.STORE_CUT)
        self.around.weather.store_cut.append(life.name)
        await asyncio.sleep(self._span())
        if life.name in self.around.weather.store_cut:
            self.around.weather.store_cut.remove(life.name)

    async def _clock_back(self) -> None:
        self.around.clock.error -= timedelta(seconds=5 * self.around.dice.chance())

    async def _own_clock(self) -> None:
        host = self.around.dice.random.choice(self.hosts)
        host.clock.error = timedelta(seconds=self.around.dice.random.choice(_SKEWS))

    async def _broker_out(self) -> None:
        self.broker.stream.go_down(self.around.dice.random.randrange(5))
        await asyncio.sleep(self._span())
        self.broker.stream.come_up()
        self.around.alarm.ring(*News)

    async def _webhooks_out(self) -> None:
        self.around.weather.webhooks_out = True
        await asyncio.sleep(3 * self._span())
        self.around.weather.webhooks_out = False
