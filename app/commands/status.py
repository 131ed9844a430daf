"""`faust -A app status`: how all workers stand, as any one of them tells. Only the command line."""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import faust
import orjson
from faust.cli import option
from yarl import URL

from app.commands._command import Command
from app.health import Level
from app.settings import Settings

ANSWER_SECONDS = 10.0

OPTIONS = (
    option("--url", metavar="URL", help="The worker to ask; by default the one of ORDERS_WEB_URL, or of this machine."),
    option("--json", "as_json", is_flag=True, help="As one JSON object, as /api/status answers."),
)


def register(app: faust.App, settings: Settings) -> None:
    """Add the command to `app`."""

    @app.command(*OPTIONS, base=Command)
    async def status(self: Any, *, url: str | None, as_json: bool) -> int:
        """Print the health of the whole group: lag, dead letters, who owns what. One worker is asked, and asks all.

        \b
        Examples:
          faust -A app status
          faust -A app status --url http://orders-3:6066
          watch faust -A app status

        \b
        What is looked at, and from where on it is a warning, and critical:
          lag           records that wait to be read       ORDERS_LAG_WARNING, ORDERS_LAG_CRITICAL
          pending       open dead letters                  ORDERS_PENDING_…
          idle_workers  workers that own no partition      ORDERS_IDLE_WORKERS_…
          backlog       share of what Redis may hold back  ORDERS_BACKLOG_…
          partitions    being taken over: a warning; without an owner that answers: critical

        \b
        Exit codes: 0 healthy; 1 a warning; 2 critical, or no worker answers; 130 Ctrl-C.
        """  # noqa: D301 - click leaves a paragraph as it is after this very character
        where = (url or settings.web_address(settings.web_port)).rstrip("/")
        told = await _ask(where, settings)
        if isinstance(told, str):
            self.complain(told)
            return Level.CRITICAL
        self.say(orjson.dumps(told).decode() if as_json else "\n".join(_lines(told)))
        return Level[told["health"]["level"].upper()]


async def _ask(url: str, settings: Settings) -> dict[str, Any] | str:
    """Return what a worker tells, or why it does not."""
    token = settings.web_token
    headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
    try:
        async with (
            asyncio.timeout(ANSWER_SECONDS),
            aiohttp.ClientSession(headers=headers) as session,
            session.get(URL(url) / "api/status", allow_redirects=False) as response,
        ):
            told = orjson.loads(await response.read())
            if response.status == 200 and "health" in told:
                status: dict[str, Any] = told
                return status
            return f"{url} answers {response.status}: {told['error']['message']}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"what answers at {url} is no worker of this version"
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        reason = str(error) or f"no answer within {ANSWER_SECONDS:g} s"
        return f"no worker answers at {url} ({reason}); is one running? Another is asked with --url"


def _lines(told: Mapping[str, Any]) -> list[str]:
    lines = [f"{told['app_id']} on {told['broker']}: {told['health']['level']}"]
    for check in told["health"]["checks"]:
        value = "unknown" if check["value"] is None else f"{check['value']:,g}"
        bounds = ""
        if check["warning"] is not None:
            bounds = f" (warning from {check['warning']:,g}, critical from {check['critical']:,g})"
        lines.append(f"  {check['name']:<13} {check['level']:<9} {value} {check['text']}{bounds}")
    lines.append(f"  {'partition':<10} {'state':<9} {'lag':>8} {'next':>12} {'rows':>10}  owner")
    for part in told["partitions"]:
        figures = (_shown(part[name]) for name in ("lag", "next_offset", "rows"))
        row = "{:>8} {:>12} {:>10}".format(*figures)
        lines.append(f"  {part['partition']:<10} {part['state']:<9} {row}  {part['owner'] or 'nobody'}")
    lines += [f"  worker {worker['url']} {_idle(worker)}" for worker in told["workers"] if not worker["partitions"]]
    lines += [f"  partition {missing['partition']}: {missing['reason']}" for missing in told["missing"]]
    counts = {**told["outcomes"], "dead_letters": sum(told["outcomes"]["dead_letters"].values())}
    lines.append("  " + ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items()))
    letters = told["letters"]
    if letters is not None and letters["open"]:
        causes = ", ".join(f"{cause} {count:,}" for cause, count in letters["causes"].items())
        lines.append(f"  open dead letters: {causes}; the oldest for {letters['oldest_open_seconds']:,.0f} s")
    return lines


def _idle(worker: Mapping[str, Any]) -> str:
    return worker["silent"] or "owns no partition"


def _shown(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"
