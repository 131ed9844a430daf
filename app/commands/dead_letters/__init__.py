"""`faust -A app dead-letters …`: look at dead letters, send them again, give them up. One file per command."""

import click
import faust
from faust.cli.base import cli

from app.commands._sending import OpenSender
from app.commands._state import OpenState
from app.commands.dead_letters import list_letters, purge, redrive, show, stats

GROUP = "dead-letters"

HELP = """Look at dead letters, send them again, or give them up.

\b
A dead letter is an event that was not accepted. Its state says what may happen to it:
  dead      it failed for good, until somebody sends it again (redrive) or gives it up (purge)
  parked    an earlier event of its order is not decided; it follows by itself, in order
  waiting   it came too early (a payment before its order), and is tried with each event of its order
  retrying  it failed for the moment, and is tried again by itself
  resolved, purged   closed: accepted after all, or given up

Events that our rules refuse (as a second payment) hold nobody up. Others, as one that cannot be read, keep the later
events of the same order parked until they are redriven or purged.
"""


def register(app: faust.App, open_state: OpenState, open_sender: OpenSender, topic: str, app_id: str) -> None:
    """Add the commands to `app`: they read the state that `open_state` opens, and ask by records of the topic."""
    group = click.Group(GROUP, help=HELP)
    list_letters.register(app, open_state)
    show.register(app, open_state)
    stats.register(app, open_state)
    redrive.register(app, open_state, open_sender, topic, app_id)
    purge.register(app, open_state, open_sender, topic, app_id)
    for name in ("list", "show", "stats", "redrive", "purge"):
        command = cli.commands.pop(f"{GROUP}-{name}")
        command.name = name
        group.add_command(command)
    cli.add_command(group)
