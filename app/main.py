"""The composition root: settings → transport, tables, agents, web, commands. The one place where parts meet."""

import os
import sys
from collections.abc import Iterable
from functools import cache

from aiohttp import web

from agents import orders
from app.commands import dead_letters as dead_letters_commands
from app.commands import dump, emit, foreign, show, status
from app.delivery.actions import Action, record_of
from app.delivery.checks import Checks, load_check
from app.delivery.dead_letters import DeadLetters
from app.engine.clock import Clock
from app.engine.errors import EngineError
from app.metrics import Metrics
from app.pipeline import OrderPipeline
from app.runtime.application import OrderflowApp
from app.settings import Settings, SettingsError, load_settings, unknown_settings
from app.tables import TABLES
from app.topics import Topics
from app.transports import transport_for
from app.version import VERSION
from app.web.guard.auth import refuse_if_open
from app.web.routes import add_web
from models.retry import RetryPolicy


@cache
def build() -> OrderflowApp:
    """Return the application as the environment sets it up; a bad setting ends the program with one line."""
    for line in unknown_settings(os.environ):
        print(f"orderflow: warning: {line}", file=sys.stderr)  # noqa: T201 - nothing is set up yet that could log
    try:
        return compose(load_settings())
    except (SettingsError, EngineError) as error:
        print(f"orderflow: error: {error}", file=sys.stderr)  # noqa: T201 - nothing is set up yet that could log
        raise SystemExit(2) from error


def compose(settings: Settings) -> OrderflowApp:
    """Put the application together."""
    clock = Clock()
    transport = transport_for(settings.broker)
    metrics = Metrics()
    app = OrderflowApp(settings, transport, clock, metrics)
    topic = app.topic_names.orders

    async def ask(actions: Iterable[tuple[int, Action]]) -> None:
        async with transport.open_sender(settings) as sender:
            for partition, action in actions:
                await sender.send(topic, None, *record_of(action), partition)
            await sender.flush()

    for named in TABLES:
        app.step_table(named.table, named.help)
    orders.register(app, pipeline_for(app.topic_names, settings, clock))

    def add(web_app: web.Application) -> None:
        refuse_if_open(settings, app.conf.web_bind)
        add_web(web_app, app, settings.web_address(app.conf.web_port), ask, metrics)

    app.on_web.append(add)
    foreign.drop_foreign()
    emit.register(app, lambda: transport.open_sender(settings), topic)
    show.register(app, lambda: transport.open_state(settings))
    dump.register(app, lambda: transport.open_state(settings))
    status.register(app, settings)
    dead_letters_commands.register(
        app, lambda: transport.open_state(settings), lambda: transport.open_sender(settings), topic, settings.app_id
    )
    return app


def pipeline_for(topics: Topics, settings: Settings, clock: Clock) -> OrderPipeline:
    """Return what handles orders, as the settings have it."""
    checks = None
    if settings.check is not None:
        checks = Checks(load_check(settings.check), settings.check_at_once, settings.check_timeout)
    return OrderPipeline(
        topics,
        settings.partitions,
        DeadLetters(topics.dead_letters, topics.orders, settings.app_id, VERSION),
        clock,
        RetryPolicy(settings.retry_attempts, highest_ceiling=settings.retry_longest, total=settings.retry_total),
        keep_seconds=settings.letters_days * 86_400,
        most_letter_bytes=settings.letters_mb << 20,
        checks=checks,
    )
