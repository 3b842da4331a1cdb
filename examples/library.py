"""The whole engine in this process: README's example. Needs the base install only, keeps and sends nothing."""

import asyncio

from fn_notifications import EMAIL, SMS, NotificationType
from fn_notifications.entrypoints.library import MemoryEngine


async def main() -> None:
    engine = MemoryEngine(
        types=[NotificationType(name="shipped", channels=(EMAIL, SMS), required=("order",))],
        templates={"shipped": {"subject": "Order {order} is on its way", "text": "Order {order} has left our house."}},
    )
    await engine.notifications.set_preferences("ana", {"email": "ana@example.com"})
    sent = await engine.notifications.send("ana", "shipped", {"order": 42}, id_="order-42")
    await engine.run()
    print(engine.mailbox.messages()[0].subject)
    explanation = await engine.notifications.explain(sent.id)
    if explanation:
        print(*explanation.summary, sep="\n")


asyncio.run(main())
