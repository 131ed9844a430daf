"""What `make run` tells a newcomer, without starting anything."""

import pytest

from app.settings import Settings
from tools.run import summary, web_address


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:6066"),
        ("0.0.0.0", "http://127.0.0.1:6066"),  # noqa: S104 - not bound here
        ("::", "http://[::1]:6066"),
        ("shop.example", "http://shop.example:6066"),
    ],
)
def test_the_web_address_is_one_that_works_from_this_machine(host: str, address: str) -> None:
    """A worker that listens everywhere is asked on the loopback interface."""
    assert web_address(Settings.model_validate({"web_host": host})) == address


def test_the_summary_names_a_customer_of_the_samples_and_the_next_port() -> None:
    """Its lines can be pasted into a shell."""
    lines = summary(Settings.model_validate({"web_port": 7000})).splitlines()
    assert any(line.strip().startswith("curl http://127.0.0.1:7000/api/customers/") for line in lines)
    assert any(line.strip().startswith("ORDERS_WEB_PORT=7001 make run") for line in lines)
