"""Prefect's in-memory messages, with patience. Prefect's server loads this module by PREFECT_MESSAGING_BROKER.

SQLite turns a transaction away that read before another one wrote. Prefect then tries again four times within
milliseconds and drops the message: a crash would never be told to the automation that starts the run again.
"""

import asyncio
import random

from prefect.server.utilities.messaging import Message, MessageHandler, memory
from sqlalchemy.exc import OperationalError

Publisher = memory.Publisher
ephemeral_subscription = memory.ephemeral_subscription
break_topic = memory.break_topic  # Prefect asks every broker for it

WAITS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # seconds


class Consumer(memory.Consumer):
    """Hands messages over; where the database does not answer, again after a while."""

    async def run(self, handler: MessageHandler) -> None:
        """Until it is stopped."""

        async def patient(message: Message) -> None:
            for wait in WAITS:
                try:
                    return await handler(message)
                except OperationalError:
                    # never in step with whoever is in the way
                    await asyncio.sleep(wait * random.uniform(0.5, 1.5))
            await handler(message)

        await super().run(patient)
