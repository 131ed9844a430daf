"""The application's own `emit` command sends events, by the same bad lines as the workers."""

import re
from random import Random
from typing import TYPE_CHECKING, ClassVar

from tests.acceptance.judge_source import Unsure
from tests.faults.moves.move import Cast, Choice, Move, Track
from tests.faults.moves.sample_records import sample_records

if TYPE_CHECKING:
    from tests.faults.stage import Stage

PATIENCE_SECONDS = 90.0


class Emit(Move):
    """What it says is acknowledged must be in the topic; and nothing may be there twice."""

    name: ClassVar[str] = "emit"
    track: ClassVar[Track] = "shop"
    takes: ClassVar[float] = 3.0

    def choose(self, random: Random, cast: Cast) -> Choice:
        """Draw how much, and how fast."""
        rate, seconds = random.choice([100, 400]), round(random.uniform(2, 8), 2)
        return {"records": int(rate * seconds), "seed": random.randrange(1 << 30), "rate": rate, "seconds": seconds}

    def play(self, stage: "Stage", choice: Choice) -> bool:
        """Effective if it could send something."""
        records = sample_records(choice["records"], choice["seed"])
        file = stage.folder / f"emit-{choice['seed']}.jsonl"
        file.write_bytes(b"".join(event + b"\n" for _, event, _ in records if event))
        stage.unsure |= dict.fromkeys(records, Unsure(0, 1))
        emit = stage.command("emit").command("emit", str(file), "--rate", str(choice["rate"]), seconds=PATIENCE_SECONDS)
        file.with_suffix(".out").write_bytes(emit.stdout + emit.stderr)
        found = re.search(rb"acknowledged (\d+) of (\d+)", emit.stdout)
        acknowledged = int(found[1]) if found else 0
        assert emit.returncode != 0 or acknowledged == len(records), f"emit ended well, but said {emit.stdout!r}"
        stage.acknowledged.append((records, acknowledged))
        return acknowledged > 0
