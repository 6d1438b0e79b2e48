"""A message whose handler met a busy database is handed over again, later; any other error is Prefect's business."""

import asyncio
from typing import Any

import pytest
from prefect.server.utilities.messaging import BrokerModule, Message, StopConsumer, memory
from sqlalchemy.exc import OperationalError

from deployments import broker


def test_prefect_takes_it_for_a_broker() -> None:
    assert isinstance(broker, BrokerModule)


class Handler:
    """Fails so many times, then ends the consumer."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.times, self.seen = error, times, []

    async def __call__(self, message: Message) -> None:
        self.seen.append(message.data)
        if len(self.seen) <= self.times:
            raise self.error
        raise StopConsumer(ack=True)


def seen(handler: Handler) -> list[Any]:
    async def run() -> None:
        topic = memory.Topic("tested")
        memory.Topic._topics["tested"] = topic
        consumer = broker.Consumer("tested", concurrency=1)
        await topic.publish(memory.MemoryMessage("crashed", {}))
        await topic.publish(memory.MemoryMessage("next", {}))
        await asyncio.wait_for(consumer.run(handler), 60)

    try:
        asyncio.run(run())
    finally:
        memory.Topic._topics.pop("tested")
    return handler.seen


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "WAITS", (0.0,) * 6)


def test_a_busy_database_is_waited_for_longer_than_prefect_would() -> None:
    busy = OperationalError("INSERT", {}, Exception("database is locked"))
    assert seen(Handler(busy, 6)) == ["crashed"] * 7


def test_another_error_is_not_waited_out() -> None:
    """Four times in all, by Prefect itself, then the next message."""
    assert seen(Handler(ValueError("wrong"), 4)) == ["crashed"] * 4 + ["next"]
