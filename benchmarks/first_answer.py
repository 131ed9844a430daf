"""How long a newcomer waits: from a fresh clone to the set-up's end, and from there to the first answered query.

`python -m benchmarks.first_answer` clones the last commit into a temporary folder and does what the README says, with
whatever package cache there is.
"""

import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.report import Table
from tools.local_kafka import free_port

ROOT = Path(__file__).parents[1]
GIVE_UP_SECONDS = 120.0


def main() -> None:
    """Clone, set up, run, ask, and print how long each took."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("ORDERS_")}
    env["ORDERS_WEB_PORT"] = str(free_port())
    with tempfile.TemporaryDirectory(prefix="orderflow-clone-") as folder:
        started = time.monotonic()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), folder], check=True)  # noqa: S607
        subprocess.run(["make", "--silent", "setup"], cwd=folder, env=env, check=True)  # noqa: S607
        ready = time.monotonic()
        run = subprocess.Popen(
            ["make", "--silent", "run"],  # noqa: S607
            cwd=folder,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            answered = first_answer(Path(folder), int(env["ORDERS_WEB_PORT"]), run)
        finally:
            os.killpg(run.pid, signal.SIGINT)
            run.wait(30)
    table = Table("From a fresh clone to the first answer", {"set-up s": 1, "run s": 1, "together s": 1})
    table.add("make setup, make run", ready - started, answered - ready, answered - started)
    print("\n".join(table.lines()))


def first_answer(clone: Path, port: int, run: subprocess.Popen[bytes]) -> float:
    """Return when a customer of the sample orders could first be asked for."""
    customer = json.loads((clone / "samples" / "orders.jsonl").read_text().partition("\n")[0])["customer_id"]
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < give_up:
        if run.poll() is not None:
            raise RuntimeError(f"make run ended with {run.returncode}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/customers/{customer}", timeout=5).close()
        except (OSError, urllib.error.HTTPError):
            time.sleep(0.05)
        else:
            return time.monotonic()
    raise RuntimeError(f"no answer within {GIVE_UP_SECONDS:.0f} s")


if __name__ == "__main__":
    main()
