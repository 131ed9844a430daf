"""What really went wrong inside a transactional producer: the one place that looks into aiokafka's (it is pinned)."""

import asyncio
from collections.abc import Iterator
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka_errors

SYMPTOMS = (kafka_errors.KafkaError, kafka_errors.IllegalOperation, AssertionError)
"""What a call raises when something else has ended its transaction and the producer knows no more than that."""


def hidden_failure(producer: AIOKafkaProducer) -> BaseException | None:
    """Return what ended the producer's background task or its transaction, if something did."""
    task = producer._sender.sender_task  # noqa: SLF001 - the client has no public way to ask
    if task is not None and task.done() and not task.cancelled():
        error: BaseException | None = task.exception()
        return None if error is None else unwrapped(error)
    ended = producer._txn_manager.wait_for_transaction_end()  # noqa: SLF001 - the same
    return ended.exception() if ended is not None and ended.done() and not ended.cancelled() else None


def unwrapped(error: BaseException) -> BaseException:
    """Return what the client did not expect: it wraps that into a bare KafkaError, once for each place that did not."""
    while type(error) is kafka_errors.KafkaError and error.__cause__ is not None:
        error = error.__cause__
    return error


def forget_failures(producer: AIOKafkaProducer) -> None:
    """Take note of every failure that nobody waited for, or asyncio logs each as forgotten, with a traceback."""
    for future in _futures(producer):
        if future.done() and not future.cancelled():
            future.exception()


def _futures(producer: AIOKafkaProducer) -> Iterator["asyncio.Future[Any]"]:
    if (ended := producer._txn_manager.wait_for_transaction_end()) is not None:  # noqa: SLF001 - the same
        yield ended
    accumulator = producer._message_accumulator  # noqa: SLF001 - the same
    batches = set(accumulator._pending_batches).union(*accumulator._batches.values())  # noqa: SLF001 - the same
    for batch in batches:
        yield batch.future
        yield batch._drain_waiter  # noqa: SLF001 - the same
