"""The people: who they are, what they change their mind about, and how they say so."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from attrs import define, field

from fn_notifications.adapters.memory.store import MemoryStore
from fn_notifications.application.errors import PortError
from fn_notifications.application.service import Duplicate
from fn_notifications.domain.address import EMAIL, SMS, Channel, PhoneNumber
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.testing.simulation.clocks import true_time
from fn_notifications.testing.simulation.faults import Fault
from fn_notifications.testing.simulation.host import Host
from fn_notifications.testing.simulation.process import Process
from fn_notifications.testing.simulation.provider import Providers
from fn_notifications.testing.simulation.reports import Reports
from fn_notifications.testing.simulation.surroundings import Surroundings
from fn_notifications.testing.simulation.told import Publishers, Told

PATIENCE: Final = 10.0
_QUIET: Final = {"start": "20:00", "end": "07:00", "timezone": "Europe/Berlin"}


@define(eq=False, repr=False)
class People:
    """Everybody, and the callers of the interface."""

    around: Surroundings
    hosts: list[Host]
    store: MemoryStore
    providers: Providers
    reports: Reports
    publishers: Publishers
    accepted: list[Told] = field(factory=list)
    """What the interface accepted."""
    _calls: int = 0

    def phone(self, user: str) -> str:
        """Their number. The first two share one."""
        number = max(int(user.removeprefix("u")), 1)
        return f"+150055510{number:02}"

    def register(self, user: str) -> None:
        """The users service says who this is."""
        dice = self.around.dice
        body: dict[str, Any] = {"id": user, "email": f"{user}@example.com", "phone": self.phone(user)}
        if dice.chance() < 0.5:
            body |= {"whatsapp": True}
        self.publishers.publish("person.registered", body, "people", user)

    async def act(self, fault: Fault) -> None:
        """One change of mind."""
        dice = self.around.dice
        user = dice.random.choice(self.publishers.people)
        channel = dice.random.choice((EMAIL, SMS))
        match fault:
            case Fault.STOP:
                self._say(user, ReceiptKind.OPTED_OUT)
            case Fault.START:
                self._say(user, ReceiptKind.OPTED_IN)
            case Fault.OPT_OUT if dice.chance() < 0.3:
                await self._set(user, {"global_enabled": False})
            case Fault.OPT_OUT:
                await self._set(user, {"channel_preferences": {channel: {"enabled": False}}})
            case Fault.OPT_IN:
                switches = {EMAIL: {"enabled": True}, SMS: {"enabled": True}}
                await self._set(user, {"global_enabled": True, "channel_preferences": switches})
            case Fault.ADDRESS_CHANGED:
                await self._set(user, {"email": f"{user}.{dice.random.randrange(9)}@example.com"})
            case Fault.QUIET_HOURS:
                await self._set(user, {"quiet_hours": _QUIET if dice.chance() < 0.8 else None})
            case Fault.CAP:
                limit = {"count": dice.random.randint(1, 3), "window_s": 3600}
                await self._set(user, {"channel_preferences": {channel: {"frequency_limit": limit}}})
            case Fault.CANCEL:
                await self._cancel()
            case _:
                raise AssertionError(fault)

    async def interrupt(self, user: str, channel: Channel) -> None:
        """Say no to what is on its way on this channel; think better of it some minutes later."""
        everything = self.around.dice.chance() < 0.3
        for on in (False, True):
            channels = {"channel_preferences": {channel: {"enabled": on}}}
            await self._set(user, {"global_enabled": on} if everything else channels)
            await asyncio.sleep(600 * self.around.dice.chance())

    async def ask(self) -> None:
        """A caller of the interface wants a reminder sent, and asks until the answer is clear."""
        dice = self.around.dice
        self._calls += 1
        id_, user = f"call-{self._calls}", dice.random.choice(self.publishers.people)
        later = true_time() + timedelta(seconds=3600 * dice.chance()) if dice.chance() < 0.3 else None
        channels = (EMAIL,) if dice.chance() < 0.2 else None

        async def send(process: Process) -> None:
            sent = await process.notifications.send(
                user, "reminder", {"title": "keys"}, id_=id_, key=id_, channels=channels, scheduled_at=later
            )
            self.accepted.append(Told(identity=sent.identity, user=user, type="reminder", key=id_, at=sent.event_at))

        await self.insist(send)

    def _say(self, user: str, kind: ReceiptKind) -> None:
        number = PhoneNumber(self.phone(user))
        self.around.note(user, kind)
        if kind is ReceiptKind.OPTED_OUT:
            self.providers.stops.append(number.lookup)
        else:
            self.providers.stops[:] = [one for one in self.providers.stops if one != number.lookup]
        self.reports.said(SMS, number, kind)

    async def _set(self, user: str, document: Mapping[str, Any]) -> None:
        async def call(process: Process) -> None:
            await process.notifications.set_preferences(user, document)
            self.around.note(user, "set", ",".join(document))

        await self.insist(call)

    async def _cancel(self) -> None:
        recent = list(self.store.state.notifications)[-4:]
        if not recent:
            return
        _, id_ = self.around.dice.random.choice(recent)

        async def call(process: Process) -> None:
            await process.notifications.cancel(id_)

        await self.insist(call)

    async def insist(self, call: Callable[[Process], Awaitable[None]]) -> None:
        """Ask one process after the other until one answers."""
        for nth in range(30):
            up = [host for host in self.hosts if host.up]
            if up:
                process = self.around.dice.random.choice(up).process
                assert process
                try:
                    async with asyncio.timeout(PATIENCE):
                        await call(process)
                except Duplicate:
                    return
                except (PortError, TimeoutError):
                    pass
                else:
                    return
            await asyncio.sleep(min(2.0**nth, 120.0))
