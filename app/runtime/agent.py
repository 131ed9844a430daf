"""A Faust agent whose body runs once per partition over a stream of steps."""

from collections.abc import AsyncIterator
from typing import Any

from faust.agents import Agent

from app.engine.step import Step


class StepAgent(Agent):
    """Declared by `@app.agent(topic)` like any Faust agent; the engine's lanes run its body.

    The body is `async def name(steps)` with one `async for step in steps` loop: asking for the next step commits the
    last one. It keeps no supervisor, channel or actors of its own.
    """

    async def on_start(self) -> None:
        """Only be known: lanes start with the assignment."""

    async def on_stop(self) -> None:
        """Do nothing: the engine stops the lanes."""

    async def run(self, steps: AsyncIterator[Step]) -> None:
        """Run the agent's body over the steps of one partition."""
        body: Any = self.fun
        await body(steps)

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Do nothing: lanes follow the engine's assignment."""

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Do nothing: lanes follow the engine's assignment."""
