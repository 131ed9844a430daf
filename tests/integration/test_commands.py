"""`faust -A app` as a whole: what it offers works."""

import os
import re
import subprocess
import sys
from pathlib import Path

FAUST = Path(sys.executable).with_name("faust")


def faust(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
    return subprocess.run(
        [FAUST, "-A", "app", *arguments], env=env, capture_output=True, text=True, check=False, timeout=60
    )


def test_help_lists_no_command_that_cannot_work() -> None:
    """Ours and Faust's, without those that have nothing to work on."""
    done = faust("--help")
    listed = re.findall(r"^  ([a-z-]+)  ", done.stdout.partition("Commands:")[2], re.MULTILINE)
    assert listed == sorted(
        ["agents", "dead-letters", "dump", "emit", "model", "models", "send", "show", "status", "tables", "worker"]
    )


def test_a_command_that_is_gone_is_refused() -> None:
    """In the usual words, with the usual code."""
    done = faust("reset")
    assert done.returncode == 2
    assert "No such command 'reset'" in done.stderr


def test_agents_and_tables_are_listed() -> None:
    """As Faust's users expect."""
    assert "orders" in faust("agents").stdout
    tables = faust("tables").stdout
    assert all(name in tables for name in ("orders", "customers", "products", "revenue", "outcomes"))
