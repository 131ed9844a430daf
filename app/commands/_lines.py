"""Lines of files and of standard input, read beside the event loop. Knows nothing of what is in them."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

CHUNK_BYTES = 64 << 10
CHUNKS_AHEAD = 8
MAX_LINE_BYTES = 64 << 20
STDIN = "-"


class LinesError(Exception):
    """A source of lines cannot be read, or what it gives is no text in lines; the text names the source."""


def check_readable(sources: Sequence[str]) -> None:
    """Raise `LinesError` for the first of `sources` that cannot be read, before anything is sent."""
    for source in sources:
        if source == STDIN:
            continue
        try:
            Path(source).stat()
        except (OSError, ValueError) as error:
            raise _cannot_read(source, error) from error
        if Path(source).is_dir():
            raise LinesError(f"cannot read {source}: it is a directory")
        if not os.access(source, os.R_OK):
            raise LinesError(f"cannot read {source}: permission denied")


async def read_lines(sources: Sequence[str]) -> AsyncIterator[list[bytes]]:
    """Yield the lines of `sources` one after another, several at once, without their ends (LF or CR LF).

    A thread reads, because standard input may keep it waiting for ever; it is left behind when nobody asks any more.
    Raises `LinesError`.
    """
    reader = _Reader(sources)
    try:
        for source in sources:
            unfinished: list[bytes] = []
            while data := await reader.next_chunk(source):
                first, *others = data.split(b"\n")
                unfinished.append(first)
                if others:
                    lines = [b"".join(unfinished), *others]
                    unfinished = [lines.pop()]
                    yield [line.removesuffix(b"\r") for line in lines]
                elif sum(map(len, unfinished)) > MAX_LINE_BYTES:
                    raise LinesError(f"cannot read {source}: a line is longer than {MAX_LINE_BYTES >> 20} MiB")
            yield [b"".join(unfinished).removesuffix(b"\r")]  # the last line may lack its end
    finally:
        reader.close()


class _Reader:
    """A thread that reads a little ahead. Each source ends with an empty chunk."""

    def __init__(self, sources: Sequence[str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self._room = threading.Semaphore(CHUNKS_AHEAD)
        self._closed = False
        # A daemon: a process must be able to end while the thread waits for standard input.
        threading.Thread(target=self._read, args=(sources,), name="read-lines", daemon=True).start()

    async def next_chunk(self, source: str) -> bytes:
        chunk = await self._chunks.get()
        self._room.release()
        if isinstance(chunk, Exception):
            raise _cannot_read(source, chunk) from chunk
        return chunk

    def close(self) -> None:
        self._closed = True
        self._room.release()

    def _read(self, sources: Sequence[str]) -> None:
        try:
            for source in sources:
                self._read_one(source)
        except (OSError, ValueError) as error:
            self._hand_over(error)

    def _read_one(self, source: str) -> None:
        # Not sys.stdin: its lock would be held while waiting, and the interpreter could not end.
        file = 0 if source == STDIN else os.open(source, os.O_RDONLY)
        try:
            while not self._closed:
                data = os.read(file, CHUNK_BYTES)
                self._hand_over(data)
                if not data:
                    return
        finally:
            if file:
                os.close(file)

    def _hand_over(self, chunk: bytes | Exception) -> None:
        self._room.acquire()
        if not self._closed:
            self._loop.call_soon_threadsafe(self._chunks.put_nowait, chunk)


def _cannot_read(source: str, error: Exception) -> LinesError:
    name = "standard input" if source == STDIN else source
    return LinesError(f"cannot read {name}: {getattr(error, 'strerror', None) or error}")
