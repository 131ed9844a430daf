"""Asks a worker for keys over many connections at once, in a process of its own.

`python -m benchmarks.readers PORT READERS EVERY SECONDS PATH…`: each reader asks for one of the paths, drawn by chance,
and begins its next question `EVERY` seconds after the last one began, or as soon as it is answered if that is later (0:
at once). In the end it prints a line of JSON: the times of all answers in ms, how many were no 200, and the seconds
that it took.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence


class Readers:
    """Plain HTTP/1.1 over kept connections: a client library would take more of the machine than the server."""

    def __init__(self, port: int, every: float, paths: Sequence[str], end: float) -> None:
        self.times: list[float] = []
        self.failed = 0
        self._port = port
        self._every = every
        self._requests = [f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode() for path in paths]
        self._end = end

    async def read(self) -> None:
        """Ask until the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.sleep(random.uniform(0.0, self._every))
        while (began := time.monotonic()) < self._end:
            writer.write(random.choice(self._requests))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            took = time.monotonic() - began
            self.times.append(took * 1_000)
            self.failed += not head.startswith(b"HTTP/1.1 200")
            await asyncio.sleep(max(0.0, self._every - took))
        writer.close()


async def main(port: int, readers: int, every: float, seconds: float, paths: Sequence[str]) -> None:
    """Run all readers."""
    began = time.monotonic()
    asking = Readers(port, every, paths, began + seconds)
    await asyncio.gather(*(asking.read() for _ in range(readers)))
    print(json.dumps({"times": asking.times, "failed": asking.failed, "seconds": time.monotonic() - began}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), sys.argv[5:]))
