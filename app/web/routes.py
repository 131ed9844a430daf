"""Puts the web layer together: what answers under which address, and what every request passes through."""

from aiohttp import web

from app.metrics import Metrics
from app.web.api.dead_letters import dead_letter_routes
from app.web.api.health import health_routes
from app.web.api.internal import internal_routes
from app.web.api.openapi import openapi_routes
from app.web.api.orders import order_routes
from app.web.api.revenue import revenue_routes
from app.web.api.status import status_routes
from app.web.api.totals import total_routes
from app.web.deeds import Ask, Deeds
from app.web.errors import answered_errors
from app.web.guard.auth import Tokens, token_check
from app.web.guard.hosts import host_check, origin_check
from app.web.guard.limits import rate_limit, time_limit
from app.web.guard.paths import refuse_long_paths
from app.web.metrics import metrics_routes, request_metrics
from app.web.node import Node
from app.web.pages.rendering import error_page
from app.web.pages.routes import add_pages
from app.web.reading.gathering import TIME_LIMIT
from app.web.reading.group import Group
from app.web.reading.lists import Lists
from app.web.reading.own_status import OwnStatus
from app.web.reading.peers import Peers
from app.web.reading.whole import Reading

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Server": "orderflow",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of every answer: nothing is loaded from elsewhere, no script stands in a page, no other page shows one of ours, and
nobody is told the versions of libraries."""


def add_web(
    web_app: web.Application, node: Node, own_url: str, ask: Ask, metrics: Metrics, seconds: float = TIME_LIMIT
) -> None:
    """Add pages and API of a worker to its web application.

    `own_url` is where other workers reach it, `ask` what sends actions on letters, `seconds` how long other workers may
    take to answer.
    """
    settings = node.settings
    peers = Peers(settings, node.topic_names)
    reading = Reading(node, own_url, peers, seconds)
    own = OwnStatus(node)
    group = Group(node, own_url, own, peers, seconds)
    lists = Lists(reading)
    deeds = Deeds(reading, ask, settings.app_id)
    tokens = Tokens(settings)

    refuse_long_paths(web_app.router)
    web_app.middlewares.extend(
        (
            request_metrics(metrics),
            answered_errors(error_page),
            rate_limit(settings.web_rate),
            host_check(settings, own_url),
            origin_check,
            token_check(tokens),
            time_limit,
        )
    )
    web_app.add_routes(
        [
            *health_routes(node),
            *order_routes(reading),
            *total_routes(reading, lists),
            *revenue_routes(reading),
            *dead_letter_routes(reading, deeds),
            *status_routes(group),
            *metrics_routes(node, own, metrics),
            *openapi_routes(),
            *internal_routes(node, own),
        ]
    )

    add_pages(web_app, reading, group, lists, deeds, tokens, metrics)

    async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(HEADERS)

    async def stop(_web_app: web.Application) -> None:
        # Whoever waits for another worker gets his answer now: the connections close under the questions.
        await peers.close()

    web_app.on_response_prepare.append(add_headers)
    web_app.on_shutdown.append(stop)
