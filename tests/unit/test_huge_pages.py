"""Memory in huge pages: as far as the system allows it, and what is in use only."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.runtime.huge_pages import ENABLED, allowed

MB = 1 << 20

HELD = f"""
import re, threading
from pathlib import Path
from app.runtime.huge_pages import use_huge_pages
def kb(name): return int(re.search(name + r": +([0-9]+) kB", Path("/proc/self/smaps_rollup").read_text())[1])
stop = threading.Event()
threading.stack_size({64 * MB})
threads = [threading.Thread(target=stop.wait) for _ in range(8)]
for thread in threads: thread.start()
rows = {{str(number): b"%200d" % number for number in range(400_000)}}
before = kb("Rss")
use_huge_pages()
assert all(int(row) == int(key) for key, row in rows.items())
print(kb("AnonHugePages"), kb("Rss") - before)
stop.set()
"""
"""Holds about 140 MB of rows, and stacks of which hardly anything is used."""


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("always [madvise] never\n", True),
        ("[always] madvise never\n", True),
        ("always madvise [never]\n", False),
        (None, False),
    ],
)
def test_what_the_system_has_set_is_respected(tmp_path: Path, text: str | None, may: bool) -> None:
    """One that has no such setting is no Linux."""
    enabled = tmp_path / "enabled"
    if text is not None:
        enabled.write_text(text)
    assert allowed(enabled) is may


@pytest.mark.skipif(not allowed(ENABLED), reason="NOT TESTED: this system gives no huge pages to programs that ask")
def test_rows_are_in_huge_pages_afterwards_and_nothing_is_taken_besides() -> None:
    """Most of what is held; not the stacks of threads, of which little is used."""
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True, timeout=60)
    huge_kb, more_kb = map(int, done.stdout.split())
    assert huge_kb > 60 * 1024
    assert more_kb < 8 * 1024
