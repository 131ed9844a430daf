"""Keeps a worker's memory in huge pages: with many rows, a third of its time goes to looking small ones up.

Python takes memory a megabyte at a time, which Linux puts into pages of 4 KB unless the system, or the program itself,
tells it otherwise: see admin-guide/mm/transhuge of the kernel's documentation, and madvise(2). Where the system says
"never", nothing is done.
"""

import asyncio
import ctypes
import logging
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from mode import Service

log = logging.getLogger(__name__)

ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
SIZE = 2 << 20
MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25
"""Of madvise(2). Before Linux 6.1, which has the second one, the kernel gathers pages by and by."""

CHECK_SECONDS = 1.0
GROWTH = 16 << 20
"""Bytes by which memory has grown when it is gone through again: some ms in a thread."""

MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0 +(\[heap\])?$")
"""A line of /proc/pid/smaps that begins a mapping which is no file's."""


class HugePages(Service):
    """Runs beside everything else of a worker."""

    @Service.task
    async def _keep(self) -> None:
        """Go through the memory whenever it has grown."""
        seen = 0
        try:
            while allowed(ENABLED) and not self.should_stop:
                await self.sleep(CHECK_SECONDS)
                resident = _resident()
                if resident < seen + GROWTH:
                    seen = min(seen, resident)
                else:
                    await asyncio.to_thread(use_huge_pages)
                    seen = _resident()
        except OSError as error:
            log.warning("Memory stays in small pages, which is slower: %s", error)


def allowed(enabled: Path) -> bool:
    """Whether the system lets programs have huge pages; not on other systems than Linux."""
    try:
        return "[never]" not in enabled.read_text()
    except OSError:
        return False


def use_huge_pages() -> None:
    """Put all memory of this process that is in use into huge pages, as far as the system has some."""
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for start, end in _used():
        first, last = -(-start // SIZE) * SIZE, end // SIZE * SIZE
        if first < last:  # what it answers does not matter: a mapping may have gone, the kernel be an older one
            madvise(first, last - first, MADV_HUGEPAGE)
            madvise(first, last - first, MADV_COLLAPSE)


def _used() -> Iterator[tuple[int, int]]:
    """Yield where mappings begin and end of which at least half is in use: not the stacks of threads, for instance."""
    region: tuple[int, int] | None = None
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := MAPPING.match(line):
            region = int(found[1], 16), int(found[2], 16)
        elif line.startswith("Rss:") and region is not None:
            start, end = region
            region = None
            if 2 * 1024 * int(line.split()[1]) >= end - start:
                yield start, end


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
