"""Takes away those of Faust's own commands that have nothing to work on here, and would end in a stack or mislead."""

from faust.cli.base import cli

FOREIGN = (
    "clean-versions",  # there are no versions of a data folder
    "completion",  # needs a package that is not kept any more
    "livecheck",  # tests of Faust's own that no agent here declares
    "reset",  # deletes a local copy of tables; ours are with the broker
)


def drop_foreign() -> None:
    """Take them away from `faust -A app`."""
    for name in FOREIGN:
        cli.commands.pop(name, None)
