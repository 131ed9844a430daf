"""The command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HELP = """\
Compare Orderflow with what else there is, side by side in one run.

Candidates run one after the other, alone with their broker, each from nothing through the same topic; in every round
in another order. Tables give the median of the rounds and, in parentheses, the least and the greatest. CPU is that of
all processes of a candidate; that of brokers is not counted. The same machine runs brokers, senders and candidates, so
compare rows of one run, never two runs. A whole run takes about two hours; progress goes to standard error.

examples:
  make bench                                        everything
  make bench ARGS="--quick"                         everything in a few minutes: whether it works, not how fast it is
  make bench ARGS="--broker kafka --only simple"    the simple job on Kafka
  make bench ARGS="--broker redis --candidates orderflow celery"
"""


@dataclass(frozen=True)
class Options:
    """What was asked for. `events` are those of the fast candidates; slow ones do less, and the tables say so."""

    sides: tuple[str, ...]
    parts: tuple[str, ...]
    names: tuple[str, ...]
    rounds: int
    events: int
    quick: bool
    json: Path | None

    def wants(self, key: str) -> bool:
        """Whether a candidate was asked for: by its key, or by what its key begins with."""
        return not self.names or any(key.startswith(name) for name in self.names)


def parse(arguments: Sequence[str] | None, sides: Sequence[str], parts: Sequence[str], keys: Sequence[str]) -> Options:
    """Read the command line; ends the program with 2 where it makes no sense."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--broker",
        choices=sides,
        action="append",
        help="kafka; redis: a Redis server, with the embedded server beside it; or embedded (default: kafka and redis)",
    )
    parser.add_argument("--only", nargs="+", choices=parts, metavar="PART", help=f"some of: {', '.join(parts)}")
    parser.add_argument("--candidates", nargs="+", metavar="NAME", help=f"some of: {', '.join(keys)}; or beginnings")
    parser.add_argument("--rounds", type=int, help="default: 3, with --quick 1")
    parser.add_argument(
        "--events", type=int, help="per run of a fast candidate; default: 2,000,000, with --quick 400,000"
    )
    parser.add_argument("--quick", action="store_true", help="small numbers everywhere")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results as data, too")
    asked = parser.parse_args(arguments)
    names = tuple(asked.candidates or ())
    for name in names:
        if not any(key.startswith(name) for key in keys):
            parser.error(f"no candidate is called {name}: choose from {', '.join(keys)}")
    rounds, events = asked.rounds or (1 if asked.quick else 3), asked.events or (400_000 if asked.quick else 2_000_000)
    if rounds < 1 or events < 1_000:
        parser.error("at least 1 round and 1,000 events are needed")
    sides_asked = tuple(dict.fromkeys(asked.broker or ("kafka", "redis")))
    return Options(sides_asked, tuple(asked.only or parts), names, rounds, events, asked.quick, asked.json)
