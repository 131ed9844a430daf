"""`/api/dead-letters`: letters by what is known of them, one letter whole, how many there are, and asking for deeds."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from app.delivery.actions import MOST_BY, Action, Deed, now_text
from app.delivery.figures import figures_view
from app.delivery.mending import MendingError, mended
from app.delivery.selecting import Selection, in_order, is_id, partition_of
from app.engine.errors import EngineError
from app.topics import LETTERS_TABLE
from app.web.answers import answer
from app.web.api.parameters import parameters, time_in
from app.web.errors import ApiError, bad_parameter, not_ready, unknown
from app.web.reading.queries import BySelection, CountOf
from app.web.reading.whole import Reading
from models.errors import shown
from models.letters import CAUSES, STATES, Letter, letter_view, whole_letter_view

MOST = 1_000
"""Most letters that one answer holds, and that one request can ask a deed for."""
EVERY = 1_000_000
MOST_DIGITS = 9
ASK_SECONDS = 10.0
CHOOSING = {
    "state": "states",
    "cause": "causes",
    "event_type": "event_types",
    "order_id": "order_ids",
    "customer_id": "customer_ids",
    "key": "keys",
}

Ask = Callable[[Sequence[tuple[int, Action]]], Awaitable[None]]
"""Sends actions, each to its partition. Raises the engine's errors."""


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request for a deed."""

    ids: list[str]
    by: Annotated[str, msgspec.Meta(max_length=MOST_BY)] = "api"
    set: list[str] = []


_ASKED = msgspec.json.Decoder(_Asked)


def dead_letter_routes(reading: Reading, ask: Ask, app_id: str) -> list[web.RouteDef]:
    """Return the routes of dead letters."""

    async def get_letters(request: web.Request) -> web.Response:
        given = parameters(request, (*CHOOSING, "since", "until", "limit", "after"))
        after = given.get("after", "")
        if after and not is_id(after):
            raise bad_parameter("after", f"must be the id of a letter, got {shown(after)}")
        limit = _limit(given.get("limit", "100"))
        rows = await reading.of_all(BySelection(LETTERS_TABLE, _selection(given), after, limit + 1))
        names = in_order(rows)
        following = names[limit - 1] if len(names) > limit else None
        return answer({"letters": [letter_view(name, rows[name]) for name in names[:limit]], "next": following})

    async def get_letter(request: web.Request) -> web.Response:
        name = request.match_info["id"]
        parameters(request)
        letters = await reading.of_all(BySelection(LETTERS_TABLE, Selection(frozenset((name,)), STATES), "", 1))
        if name not in letters:
            raise unknown("letter", name)
        return answer(whole_letter_view(name, letters[name]))

    async def get_stats(request: web.Request) -> web.Response:
        parameters(request)
        now = time.time()
        found = await reading.of_all(CountOf(LETTERS_TABLE, now))
        return answer(figures_view(found[CountOf.key], now))

    return [
        web.get("/api/dead-letters", get_letters),
        web.get("/api/dead-letters/stats", get_stats),
        web.get("/api/dead-letters/{id:[0-9]{1,9}-[0-9]{1,18}}", get_letter),
        web.post("/api/dead-letters/redrive", _handler("redrive", reading, ask, app_id)),
        web.post("/api/dead-letters/purge", _handler("purge", reading, ask, app_id)),
    ]


def _handler(which: Deed, reading: Reading, ask: Ask, app_id: str) -> Handler:
    """Return what asks for a deed."""

    async def post_deed(request: web.Request) -> web.Response:
        parameters(request)
        if request.content_type != "application/json":  # no page of another site can send that unasked
            raise ApiError(415, "bad_content_type", "send the body with Content-Type: application/json")
        asked = _read(await request.read())
        if which == "purge" and asked.set:
            raise ApiError(400, "bad_body", "set: nothing is mended that is purged")
        selection = Selection(frozenset(asked.ids), STATES)
        letters = await reading.of_all(BySelection(LETTERS_TABLE, selection, "", EVERY))
        hopeless = [name for name in asked.ids if not _is_possible(which, letters.get(name))]
        if hopeless:
            names = ", ".join(map(shown, hopeless[:10]))
            raise ApiError(409, "not_open", f"{which} is not possible for {names}: closed, parked, or no letters")
        actions = [
            (partition_of(name, letters[name]), _action(which, name, letters[name], asked, app_id)) for name in letters
        ]
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await ask(actions)
        except (EngineError, TimeoutError) as error:
            text = str(error) or f"the broker has not taken it within {ASK_SECONDS:g} s"
            raise not_ready(f"{text}; how much of it was asked for is not known: look, and ask again") from error
        return answer({"deed": which, "asked": len(letters)}, 202)

    return post_deed


def _selection(given: Any) -> Selection:
    chosen = {field: tuple(given[name].split(",")) for name, field in CHOOSING.items() if given.get(name)}
    unknown_states = [state for state in chosen.get("states", ()) if state not in STATES]
    if unknown_states:
        raise bad_parameter("state", f"must be some of {', '.join(STATES)}, got {shown(unknown_states[0])}")
    unknown_causes = [cause for cause in chosen.get("causes", ()) if cause not in CAUSES]
    if unknown_causes:
        raise bad_parameter("cause", f"must be some of {', '.join(CAUSES)}, got {shown(unknown_causes[0])}")
    moments = {name: time_in(given, name) for name in ("since", "until")}
    times = {name: moment.timestamp() for name, moment in moments.items() if moment is not None}
    return Selection(**chosen, **times)  # type: ignore[arg-type]


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < MOST_DIGITS) or not 1 <= int(text) <= MOST:
        raise bad_parameter("limit", f"must be a whole number from 1 to {MOST:,}, got {shown(text)}")
    return int(text)


def _read(body: bytes) -> _Asked:
    try:
        asked = _ASKED.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, "bad_body", f'the body must be JSON such as {{"ids": ["2-1234"]}}: {error}') from error
    if not 1 <= len(asked.ids) <= MOST or not all(map(is_id, asked.ids)):
        raise ApiError(400, "bad_body", f"ids: must be 1 to {MOST:,} ids of letters")
    return asked


def _is_possible(deed: Deed, letter: Letter | None) -> bool:
    return letter is not None and letter.open and (deed == "purge" or letter.state != "parked")


def _action(deed: Deed, name: str, letter: Letter, asked: _Asked, app_id: str) -> Action:
    value = None
    if deed == "redrive" and asked.set:
        try:
            value = mended(letter.value_now, asked.set)
        except MendingError as error:
            raise ApiError(400, "bad_body", f"letter {name}: {error}") from error
    return Action(deed, [name], asked.by, now_text(), app_id, value)
