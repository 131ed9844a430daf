"""The web server that Faust starts: aiohttp's, without Faust's own pages."""

import logging
from collections.abc import Mapping
from typing import Any

from aiohttp.web import AppRunner
from faust.web.drivers.aiohttp import Web

from app.engine.errors import Unusable

SERVER: Mapping[str, Any] = {
    # Nothing of a request is logged: addresses hold ids, and a header that cannot be read may hold the token. What
    # fails in a handler is logged by app.web.errors.
    "access_log": None,
    "logger": logging.Logger("http", level=logging.CRITICAL),  # noqa: LOG001 - it leads nowhere
    # How long a connection may be idle, or take to send a request's headers: longer than proxies keep theirs open.
    "keepalive_timeout": 75.0,
    # A stop waits for answers under way, but not for clients that read them slowly.
    "shutdown_timeout": 0.5,
    "max_line_size": 64 << 10,
}
"""How aiohttp's server is set up (arguments of `AppRunner`)."""


class QuietWeb(Web):
    """Faust's web server without its own pages, which show all state to anybody."""

    default_blueprints = ()
    production_blueprints = ()
    debug_blueprints = ()
    optional_blueprints = ()

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self._runner = AppRunner(self.web_app, **SERVER)
        self._starting = False

    async def start_server(self) -> None:
        """Listen; raises `Unusable` if that cannot be done there."""
        try:
            await super().start_server()
        except OSError as error:
            where = f"{self.app.conf.web_bind}:{self.app.conf.web_port}"
            raise Unusable(
                f"the web server cannot listen on {where} ({error.strerror or error}); "
                "choose another ORDERS_WEB_PORT (or --web-port) or ORDERS_WEB_HOST"
            ) from error

    async def on_start(self) -> None:
        """Put the routes in place; only now is it known, from the command line too, which port this is."""
        self._starting = True
        await super().on_start()

    def init_server(self) -> None:
        """Do nothing while the command line is still being read, which is when Faust calls this first."""
        if self._starting:
            super().init_server()
