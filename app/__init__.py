"""Orderflow: live, exact totals of order events. `app.app` is the Faust app, built when it is first asked for."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "app":
        from app.main import build  # noqa: PLC0415 - importing a submodule must build nothing

        return build()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
