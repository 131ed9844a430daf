"""A team's check that says no to the customers in the file REFUSED (`ORDERS_CHECK=tests.browser.refusing:check`)."""

import os
from pathlib import Path

from app.delivery.checks import Refuse
from models.events import Event


async def check(event: Event) -> None:
    """Let pass whoever is not in the file, as it is now."""
    if event.customer_id in _refused():
        raise Refuse("this customer owes us money")


def _refused() -> list[str]:
    return Path(os.environ["REFUSED"]).read_text().split()
