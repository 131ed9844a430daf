"""`python -m tests.faults`: plays a plan, judges what came of it, and says so."""

import json
import secrets
import shutil
import sys
import tempfile
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.acceptance.scene import SESSION_SECONDS
from tests.faults.brokers import TARGETS
from tests.faults.defects import DEFECTS
from tests.faults.moves import MOVES
from tests.faults.moves.move import Cast
from tests.faults.plan import Plan, planned
from tests.faults.playing import play, playable, say

HELP = """\
Tries to make Orderflow lie: real workers and a real broker, a shop that goes on sending, and one thing after the other
that goes wrong. At the end an oracle compares every row, every dead letter and every update, and nothing may be left
running. The schedule is made from the seed, which is printed; a failed run keeps its logs and its plan in a folder
that it names.

  python -m tests.faults --broker redis --minutes 1
  python -m tests.faults --broker kafka3 --minutes 10 --seed 7 --moves broker-kill,worker-pause
  python -m tests.faults --plan /tmp/faults-…/plan.jsonl        the same moves again
  python -m tests.faults --broker redis --defect no-duplicate-check --minutes 1      must fail

Exit codes: 0 all is exact; 1 something is wrong; 2 a lone Kafka left a transaction hanging, which is a known fault of
its own (docs/reliability.md): Kafka's own tool finds it.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit code."""
    parser = ArgumentParser("tests.faults", description=HELP, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--broker", choices=list(TARGETS), default="embedded", help="(%(default)s)")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long moves are made (%(default)s)")
    parser.add_argument("--seed", type=int, help="of moves and events; drawn if not given")
    parser.add_argument("--workers", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--rate", type=float, default=300.0, help="events per second (%(default)s)")
    parser.add_argument("--moves", help=f"only these, separated by commas: {', '.join(MOVES)}")
    parser.add_argument("--defect", choices=list(DEFECTS), help="plant this defect in the workers; the run must fail")
    parser.add_argument("--plan", type=Path, help="make the moves of this file; all else is read from it too")
    parser.add_argument("--keep", action="store_true", help="keep the logs of a run in which all is well too")
    parser.add_argument("--show-plan", action="store_true", help="print the plan, and play nothing")
    options = parser.parse_args(arguments)
    plan = Plan.load(options.plan) if options.plan else _new_plan(options)
    if options.show_plan:
        sys.stdout.write("\n".join(plan.lines()) + "\n")
        return 0
    folder = Path(tempfile.mkdtemp(prefix=f"faults-{plan.broker}-{plan.seed}-"))
    (folder / "plan.jsonl").write_text("\n".join(plan.lines()) + "\n")
    say(f"seed {plan.seed}, {len(plan.events)} moves; plan and logs in {folder}")
    verdict = play(plan, folder / "run")
    sys.stdout.write(json.dumps(verdict.summary(), indent=2, ensure_ascii=False) + "\n")
    if verdict.reason:
        again = f"python -m tests.faults --plan {folder / 'plan.jsonl'}"
        sys.stdout.write(f"{verdict.reason}\n\n{verdict.result.upper()}; logs in {folder}; again: {again}\n")
        return 2 if verdict.own_fault else 1
    if not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _new_plan(options: Any) -> Plan:
    wanted = options.moves.split(",") if options.moves else list(MOVES)
    unknown = [name for name in wanted if name not in MOVES]
    if unknown:
        raise SystemExit(f"no such move: {', '.join(unknown)}; there are {', '.join(MOVES)}")
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    plan = Plan(options.broker, seed, options.minutes * 60, options.workers, options.rate, options.defect)
    cast = Cast(options.workers, TARGETS[options.broker].nodes, SESSION_SECONDS)
    return planned(plan, playable(wanted, options.broker), cast)
