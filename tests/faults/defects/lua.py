"""Scripts of the Redis transport with something left out."""

import re

from app.transports.redis_streams import scripts


def leave_out_of_commit(part: re.Pattern[str]) -> None:
    """Run `commit` without the one place that matches."""
    text, found = part.subn("", scripts.lua(scripts.__package__ or "", "commit"))
    assert found == 1
    scripts._SCRIPTS["commit"] = scripts.Script(text)
