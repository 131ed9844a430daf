"""An event that was accepted before is accepted again."""

from typing import Any

from msgspec.structs import replace

from app import pipeline
from models.events import Event
from models.order import DUPLICATE, Order, apply
from tests.faults.defects.defect import Defect

DEFECT = Defect(
    name="no-duplicate-check",
    what="an event that was accepted before is accepted again",
    brokers=("redis", "embedded", "kafka"),
    moves=(),
    seconds=20,
    evidence=r"outcomes|letter|too often",
)


def plant() -> None:
    """Forget, when an event comes again, that it came before."""
    module: Any = pipeline
    module.apply = _apply_again


def _apply_again(order: Order | None, event: Event) -> Any:
    change = apply(order, event)
    if change is DUPLICATE and order is not None:
        ids = ("" if at % 3 == 0 else part for at, part in enumerate(order.events))
        change = apply(replace(order, events=tuple(ids)), event)
    return change
