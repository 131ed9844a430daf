"""What faults are aimed at: a server of one or more nodes, and the proxies through which workers reach it."""

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from app.settings import Settings
from tests.contract.brokers.server import Server
from tests.proxy import Proxy


class Target(ABC):
    """Subclasses: one per broker that `--broker` names. `node` counts from 0. All calls block.

    `proxies` lie between workers and nodes, one for each node; the shop and the judge go past them. None where workers
    reach the server by a socket file. `folder` holds the nodes' data, each in a folder of its own.
    """

    name: ClassVar[str]
    nodes: ClassVar[int] = 1
    server: Server
    proxies: Sequence[Proxy] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def start(self) -> None:
        """Start everything. Raises `MissingProgramError` if what it takes is not installed."""

    def worker_environment(self) -> Mapping[str, str]:
        """Return what leads workers through the proxies."""
        return {}

    @abstractmethod
    def kill(self, node: int) -> None:
        """End a node as a crash would (SIGKILL) and return once it is gone."""

    @abstractmethod
    def restart(self, node: int) -> None:
        """Start a node that was killed, or ended by itself, on the same data, and return once all is well again."""

    @abstractmethod
    def recover(self, node: int) -> None:
        """Return once all is well again after trouble that a node may have ended of; then it is started."""

    @abstractmethod
    def runs(self, node: int) -> bool:
        """Say whether the process of a node is there."""

    @abstractmethod
    def pid(self, node: int) -> int:
        """Return the process id of a running node."""

    def pause(self, node: int) -> int:
        """Suspend a node (SIGSTOP); returns its process id, for `resume`."""
        pid = self.pid(node)
        os.kill(pid, signal.SIGSTOP)
        return pid

    def resume(self, pid: int) -> None:
        """Let a suspended node go on (SIGCONT)."""
        os.kill(pid, signal.SIGCONT)

    def own_fault(self) -> str:
        """Return what the broker itself did wrong, if it is a known fault of it, which no application can mend."""
        return ""

    def let_go(self, settings: Settings) -> None:  # noqa: B027 - most hold nothing
        """Let go of what this process holds as a user of the application with these settings."""

    def stop(self) -> None:
        """End everything in good order."""
        self.server.stop()
        for proxy in self.proxies:
            proxy.__exit__()
