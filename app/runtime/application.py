"""The Faust app that runs the engine: Faust keeps agents, topics, tables, web, commands and the life of services."""

import logging
import tempfile
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import faust
from faust.app.base import BootStrategy

from app.engine.broker import Broker
from app.engine.clock import Clock
from app.engine.engine import Engine
from app.engine.errors import EngineError, Unusable
from app.engine.observer import Observer
from app.engine.table import Table
from app.runtime.agent import StepAgent
from app.runtime.tables import StepTable, StepTableManager
from app.runtime.web import QuietWeb
from app.runtime.worker import StepWorker
from app.settings import Settings
from app.topics import topics_for

log = logging.getLogger(__name__)

PROBE_BYTES = 64 << 10
"""What the data folder must have room for at start."""


class Boot(BootStrategy):
    """What a worker starts, in order; it stops in the opposite one, lanes before the web server."""

    def server(self) -> Any:
        """Web first, so that health can be asked while partitions load."""
        return self._chain(
            self.sensors(), self.web_server(), [self.app.consumer], self.agents(), self.kafka_conductor(), self.tables()
        )


class OrderflowApp(faust.App):
    """A Faust app whose agents work on steps. Made by `app.main`; knows no orders."""

    BootStrategy = Boot

    def __init__(
        self, settings: Settings, transport: type[Any], clock: Clock, observer: Observer | None = None
    ) -> None:
        self.settings = settings
        self.topic_names = topics_for(settings.topic_prefix, settings.app_id)
        self.clock = clock
        self.observer = observer
        self.engine: Engine | None = None
        self.failure: EngineError | None = None
        self.on_failure: Callable[[EngineError], None] | None = None
        self.on_web: list[Callable[[Any], None]] = []
        self.before_start: list[Callable[[], Awaitable[None]]] = []
        self._engine_tables: list[Table] = []
        self._transport_class = transport
        super().__init__(
            settings.app_id,
            broker=settings.broker_shown,  # Faust prints it
            datadir=str(settings.data_dir),
            origin="app",
            autodiscover=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            web_host=settings.web_host,
            web_bind=settings.web_host,
            web_port=settings.web_port,
            Agent=StepAgent,
            Table=StepTable,
            TableManager=StepTableManager,
            Worker=StepWorker,
            worker_redirect_stdouts=False,
            stream_wait_empty=False,
            broker_session_timeout=settings.session_timeout,
        )

    def step_table(self, table: Table, description: str) -> Any:
        """Name a table: the engine keeps its rows, Faust lists it."""
        self._engine_tables.append(table)
        return self.Table(table.name, help=description)

    async def on_first_start(self) -> None:
        """Make sure of the broker and the topics before anything starts."""
        await super().on_first_start()
        try:
            await self._transport_class.prepare(self.settings)
        except EngineError as error:
            self.fail(error)
            raise

    def start_engine(self, broker: Broker) -> None:
        """Called by the transport once it has joined its group."""
        agents = list(self.agents.values())
        if len(agents) != 1:
            raise EngineError(f"exactly one agent must read {self.topic_names.orders}, not {len(agents)}")
        self.engine = Engine(broker, tuple(self._engine_tables), agents[0].run, self.clock, self.fail, self.observer)

    async def stop_engine(self) -> None:
        """Let lanes end their steps and give up their partitions."""
        if self.engine is not None:
            await self.engine.stop()

    def fail(self, error: EngineError) -> None:
        """End the worker because of `error`: one line, a non-zero exit code, nothing half committed."""
        if self.failure is not None:
            return
        self.failure = error
        if self.on_failure is not None:
            self.on_failure(error)

    @property
    def routes(self) -> Mapping[int, str]:
        """The web address of each partition's owner, as far as the group has settled."""
        consumer: Any = self.consumer
        routes: Mapping[int, str] = consumer.routes
        return routes

    @property
    def workers(self) -> Collection[str]:
        """The web addresses of all workers of the group, also of those that own nothing."""
        consumer: Any = self.consumer
        workers: Collection[str] = consumer.workers
        return workers

    def on_webserver_init(self, web: Any) -> None:
        """Let each part of the web layer add its routes to the aiohttp application."""
        for add in self.on_web:
            add(web.web_app)

    def _create_directories(self) -> None:
        """Make the data folder and see whether it takes anything; raises `Unusable` if not."""
        folder = self.conf.datadir
        try:
            folder.mkdir(parents=True, exist_ok=True)
            super()._create_directories()
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(bytes(PROBE_BYTES))
        except OSError as error:
            raise Unusable(
                f"the data folder {folder} cannot be written ({error.strerror or error}); "
                "choose another ORDERS_DATA_DIR"
            ) from error

    def _new_transport(self) -> Any:
        return self._transport_class([], self)

    _new_producer_transport = _new_transport

    def _new_web(self) -> Any:
        return QuietWeb(self)
