"""The composition root: settings → transport, tables, agents, web, commands. The one place where parts meet."""

import os
import sys
from functools import cache

from agents import orders
from app.commands import dump, emit, foreign, show
from app.delivery.dead_letters import DeadLetters
from app.engine.clock import Clock
from app.engine.errors import EngineError
from app.pipeline import OrderPipeline
from app.runtime.application import OrderflowApp
from app.settings import Settings, SettingsError, load_settings, unknown_settings
from app.tables import TABLES
from app.transports import transport_for
from app.version import VERSION
from app.web.routes import add_api


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
    app = OrderflowApp(settings, transport, clock)
    for named in TABLES:
        app.step_table(named.table, named.help)
    dead_letters = DeadLetters(app.topic_names.dead_letters, app.topic_names.orders, settings.app_id, VERSION)
    orders.register(app, OrderPipeline(app.topic_names, settings.partitions, dead_letters, clock))
    app.on_web.append(lambda web_app: add_api(web_app, app, settings.web_address(app.conf.web_port)))
    foreign.drop_foreign()
    emit.register(app, lambda: transport.open_sender(settings), app.topic_names.orders)
    show.register(app, lambda: transport.open_state(settings))
    dump.register(app, lambda: transport.open_state(settings))
    return app
