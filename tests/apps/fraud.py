"""A check as a team would write it: asks a fraud service over HTTP. Used with `ORDERS_CHECK=tests.apps.fraud:check`."""

import os

import aiohttp

from app.delivery.checks import Refuse, TryAgain
from models.events import Event


async def check(event: Event) -> None:
    """Let only orders pass that the service at FRAUD_URL finds good."""
    if event.event_type != "order.created":
        return
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{os.environ['FRAUD_URL']}/{event.customer_id}/{event.order_id}") as response,
        ):
            if response.status == 429:
                raise TryAgain("the fraud service asks for patience", float(response.headers.get("Retry-After", "1")))
            if response.status != 200:
                raise TryAgain(f"the fraud service answers {response.status}")
            if (await response.json())["fraud"]:
                raise Refuse("the fraud service says no")
    except aiohttp.ClientError as error:
        raise TryAgain(f"no answer from the fraud service ({error})") from error
