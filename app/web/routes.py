"""Puts the HTTP API together: what answers under which address, and what every request passes through."""

from aiohttp import web

from app.web.api.dead_letters import Ask, dead_letter_routes
from app.web.api.health import health_routes
from app.web.api.internal import internal_routes
from app.web.api.orders import order_routes
from app.web.api.revenue import revenue_routes
from app.web.api.status import status_routes
from app.web.api.totals import total_routes
from app.web.errors import json_errors
from app.web.guard.auth import token_check, warn_if_open
from app.web.node import Node
from app.web.reading.gathering import TIME_LIMIT
from app.web.reading.peers import Peers
from app.web.reading.whole import Reading


def add_api(web_app: web.Application, node: Node, own_url: str, ask: Ask, seconds: float = TIME_LIMIT) -> None:
    """Add the API of a worker to its web application.

    `own_url` is where other workers reach it, `ask` what sends actions on letters, `seconds` how long other workers may
    take to answer.
    """
    warn_if_open(node.settings)
    peers = Peers(node.settings, node.topic_names)
    reading = Reading(node, own_url, peers, seconds)

    web_app.middlewares.append(json_errors)
    if node.settings.web_token is not None:
        web_app.middlewares.append(token_check(node.settings.web_token.get_secret_value()))
    web_app.add_routes(
        [
            *health_routes(node),
            *order_routes(reading),
            *total_routes(reading),
            *revenue_routes(reading),
            *dead_letter_routes(reading, ask, node.settings.app_id),
            *status_routes(node, own_url, peers, seconds),
            *internal_routes(node),
        ]
    )

    async def stop(_web_app: web.Application) -> None:
        # Whoever waits for another worker gets his answer now: the connections close under the questions.
        await peers.close()

    web_app.on_shutdown.append(stop)
