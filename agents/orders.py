"""The agent that reads the orders topic. Thin: which topic, which handler."""

from collections.abc import AsyncIterator
from typing import Any

from app.engine.step import Step
from app.pipeline import OrderPipeline


def register(app: Any, pipeline: OrderPipeline) -> None:
    """Declare the agent on `app`."""

    @app.agent(app.topic(app.topic_names.orders, internal=True), name="orders")  # type: ignore[untyped-decorator]
    async def orders(steps: AsyncIterator[Step]) -> None:
        """Fold order events into the tables; each step is committed when the next one is asked for."""
        async for step in steps:
            await pipeline.handle(step)
