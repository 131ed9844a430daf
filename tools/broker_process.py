"""A broker as a child process: start, wait until it answers, stop, kill. Knows how, not which broker."""

import asyncio
import atexit
import re
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from tools.errors import BrokerError

START_SECONDS = 60.0
STOP_SECONDS = 30.0
PAUSE_SECONDS = 0.1


class BrokerProcess(ABC):
    """One Kafka broker on 127.0.0.1. All calls block: from a coroutine use `asyncio.to_thread`.

    As a context manager it starts on entry and stops on exit.
    """

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """The address for clients without a login, as `host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The same as a value for ORDERS_BROKER."""
        return f"kafka://{self.bootstrap}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @abstractmethod
    def prepare(self) -> list[str]:
        """Get ready to start and return the command line."""

    def start(self, timeout: float = START_SECONDS) -> None:
        """Start the broker and return once it answers and every partition has a leader.

        Raises BrokerError with the log's reason if it ends first or does not answer within `timeout` seconds.
        """
        if self.pid is not None:
            raise BrokerError(f"the broker at {self.bootstrap} runs already")
        if _is_taken(self.port):
            raise BrokerError(
                f"{self.bootstrap} is in use: stop what runs there (another Kafka?), or choose another port"
            )
        command = self.prepare()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        begin = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            # In a session of its own, so that Ctrl-C in a terminal reaches only those who then stop it in good order.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        atexit.register(self.kill)
        try:
            self._wait_until_ready(time.monotonic() + timeout, begin)
        except BaseException:
            self.kill()
            raise

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Ask the broker to end in good order (SIGTERM), and kill it if it has not within `timeout` seconds."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reap()

    def kill(self) -> None:
        """End the broker at once (SIGKILL), as a crash would. Nothing happens if it does not run."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._reap()

    def restart(self, timeout: float = START_SECONDS) -> None:
        """Start again on the same data and ports, stopping first if it still runs."""
        self.stop()
        self.start(timeout)

    def wait(self) -> int:
        """Block until the broker ends; returns its exit code."""
        return 0 if self._process is None else self._process.wait()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None
        atexit.unregister(self.kill)

    def _wait_until_ready(self, deadline: float, log_begin: int) -> None:
        while not (_is_taken(self.port) and _answers(self.bootstrap)):
            if self.pid is None:
                raise BrokerError(f"the broker ended while starting: {self._reason(log_begin)} (log: {self.log})")
            if time.monotonic() > deadline:
                raise BrokerError(f"the broker does not answer at {self.bootstrap} (log: {self.log})")
            time.sleep(PAUSE_SECONDS)

    def _reason(self, begin: int) -> str:
        with self.log.open("rb") as handle:
            handle.seek(begin)
            return telling_line(handle.read().decode(errors="replace"))


def telling_line(output: str) -> str:
    """Return the line of a Java program's output that says best why it ended."""
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith("\t")]
    thrown = [line for line in lines if re.search(r"(Exception|Error): ", line)]
    errors = [line for line in lines if " ERROR " in line]
    return (thrown or errors or lines or ["it wrote nothing"])[-1].strip()


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answers(address: str) -> bool:
    # In a thread of its own, as the caller may have an event loop running.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _is_ready(address)).result()


async def _is_ready(address: str) -> bool:
    client = AIOKafkaClient(bootstrap_servers=address, request_timeout_ms=5000)
    try:
        await client.bootstrap()
        cluster = await client.fetch_all_metadata()
    except KafkaError:
        return False
    else:
        return bool(cluster.brokers()) and all(
            cluster.partitions_for_topic(topic) == cluster.available_partitions_for_topic(topic)
            for topic in cluster.topics(exclude_internal_topics=False)
        )
    finally:
        await client.close()
