"""What went wrong inside a transactional producer, out of the errors that its client wraps it into."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError, ProducerFenced

from app.engine.errors import EngineError, Unavailable
from app.transports.kafka.connection import translated
from app.transports.kafka.failures import hidden_failure


def _wrapped(error: Exception, *texts: str) -> Exception:
    for text in texts:
        outer = KafkaError(text)
        outer.__cause__ = error
        error = outer
    return error


async def _producer_that_ended_with(error: Exception) -> Any:
    async def fail() -> None:
        raise error

    task = asyncio.create_task(fail())
    await asyncio.wait({task})
    return SimpleNamespace(_sender=SimpleNamespace(sender_task=task))


@pytest.mark.parametrize("texts", [(), ("unexpected",), ("KafkaConnectionError('closed')", "unexpected")])
async def test_a_failure_is_found_however_often_it_is_wrapped(texts: tuple[str, ...]) -> None:
    """A connection that broke while the coordinator was looked up is wrapped twice; it is no reason to end."""
    error = KafkaConnectionError("closed")
    assert hidden_failure(await _producer_that_ended_with(_wrapped(error, *texts))) is error


async def test_an_error_that_says_what_it_is_is_left_as_it_is() -> None:
    """Even if something else caused it."""
    error = ProducerFenced()
    error.__cause__ = ValueError("inner")
    assert hidden_failure(await _producer_that_ended_with(error)) is error


def test_an_answer_that_did_not_come_is_told_however_often_it_is_wrapped() -> None:
    """To a claim too: the broker is away, and nothing else is wrong."""
    error = _wrapped(KafkaConnectionError("closed"), "KafkaConnectionError('closed')", "unexpected")
    with pytest.raises(Unavailable, match=r"claiming partition 0.*closed"), translated("claiming partition 0"):
        raise error


def test_what_the_client_wraps_of_others_is_told_as_its_own() -> None:
    """It is a fault that trying again does not mend."""
    error = _wrapped(ValueError("odd"), "unexpected")
    with pytest.raises(EngineError, match=r"claiming partition 0.*unexpected"), translated("claiming partition 0"):
        raise error
