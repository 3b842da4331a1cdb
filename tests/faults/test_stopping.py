"""A process that is told to stop is gone within its grace and five seconds, whatever it depends on does or does not."""

import re

import pytest
from tests.faults.acts import (
    HOLD,
    PATIENT,
    SILENT_HANG,
    event,
    holds,
    in_status,
    on_the_provider,
    on_the_wire,
    reporting,
    rows,
)
from tests.services.deployment import until

pytestmark = pytest.mark.external

HASTY = {"SHUTDOWN_GRACE": "3"}
GONE = 20.0
"""Seconds in which a process with this grace has ended on the busiest machine, and none with the usual one."""


@pytest.mark.parametrize("fault", ["cut", "swallow"])
async def test_fault_43_sigterm_without_its_database_it_ends_and_says_what_it_could_not_write(act, fault):
    async with act(**PATIENT | HASTY) as scene:
        (leaving,) = scene.workers
        leaving.provider.hold_answers()
        await leaving.start()
        scene.deployment.publish([event(1, HOLD)])
        await until(on_the_provider(scene, 1))
        getattr(leaving.database, fault)()
        leaving.provider.heal()
        await leaving.stop(within=GONE)
        assert re.search(r"dispatch\.left_behind .*answers=1|still under way were: .*dispatch", leaving.log.read_text())
        leaving.database.heal()
        assert await rows(scene, "SELECT status FROM deliveries WHERE channel = 'email'") == [("sending",)]


async def test_fault_43_sigterm_without_its_broker_it_ends_in_order(act):
    async with act(**HASTY) as scene:
        (leaving,) = scene.workers
        await leaving.start()
        await reporting(scene)
        scene.broker.cut()
        assert await leaving.stop(within=GONE) == 0


async def test_fault_43_sigterm_while_a_provider_hangs_it_ends_in_order_and_the_call_is_in_doubt(act):
    async with act({1: [SILENT_HANG]}, **PATIENT | HASTY) as scene:
        (leaving,) = scene.workers
        await leaving.start()
        scene.deployment.publish([event(1, HOLD)])
        await until(on_the_wire(scene))
        assert await leaving.stop(within=GONE) == 0
        assert await rows(scene, "SELECT code FROM attempts") == [("stopped",)]
        assert await holds(scene, in_status("in_doubt"))()
