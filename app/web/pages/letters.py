"""`/dead-letters`: found by what is known of them, looked at whole, tried again, mended, given up."""

from urllib.parse import urlencode

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from app.delivery.actions import Deed
from app.delivery.selecting import is_id
from app.web.deeds import MOST, Deeds, is_possible
from app.web.errors import ApiError
from app.web.guard.forms import form_of
from app.web.pages.live import Asked, Look, View
from app.web.parameters import CHOOSING, after_in, limit_in, parameters, selection_in
from app.web.reading.letters import find_letter, letter_figures, letters_page
from app.web.reading.whole import Reading
from models.letters import CAUSES, STATES, letter_view, whole_letter_view

ROWS = 50
HEX_BYTES = 4_096
"""How much of a record is shown in hexadecimal digits."""

BY = "web"
"""Who is noted as having asked, in a letter's history."""

DEEDS: tuple[Deed, ...] = ("redrive", "purge")


def letters_list(reading: Reading) -> Look:
    """Return what looks up a list of letters."""

    async def look(asked: Asked) -> View:
        known = (*CHOOSING, "since", "until", "limit", "after", "asked")
        given = {name: value for name, value in parameters(asked, known).items() if value}
        deed = given.pop("asked", None)
        found = await letters_page(reading, selection_in(given), after_in(given), limit_in(given, ROWS, MOST))
        following = urlencode({**given, "after": found.following}) if found.following else None
        context = {
            "letters": [letter_view(*named) for named in found.letters.items()],
            "following": following,
            "given": given,
            "states": STATES,
            "causes": CAUSES,
            "figures": await letter_figures(reading),
            "asked": deed,
        }
        return View("letters.html", "letters", context)

    return look


def letter_page(reading: Reading) -> Look:
    """Return what looks up one letter."""

    async def look(asked: Asked) -> View:
        name = asked.match_info["id"]
        given = parameters(asked, ("asked",))
        letter = await find_letter(reading, name)
        context = {
            "letter": whole_letter_view(name, letter),
            "pretty": _pretty(letter.value_now),
            "dump": hex_dump((letter.value or b"")[:HEX_BYTES]),
            "cut": max(0, len(letter.value or b"") - HEX_BYTES),
            "possible": [deed for deed in DEEDS if is_possible(deed, letter)],
            "asked": given.get("asked"),
        }
        return View("letter.html", "letters", context)

    return look


def letter_deeds(deeds: Deeds) -> list[web.RouteDef]:
    """Return the routes that forms are sent to."""
    return [
        *(web.post(f"/dead-letters/{deed}", _of_several(deeds, deed)) for deed in DEEDS),
        *(web.post(f"/dead-letters/{{id:[0-9]{{1,9}}-[0-9]{{1,18}}}}/{deed}", _of_one(deeds, deed)) for deed in DEEDS),
    ]


def _of_one(deeds: Deeds, deed: Deed) -> Handler:
    async def post(request: web.Request) -> web.Response:
        name, form = request.match_info["id"], await form_of(request)
        value = form.get("value", "")
        mended = value.replace("\r\n", "\n").encode()
        await deeds.ask_for(deed, [name], BY, (lambda _, __: mended) if value and deed == "redrive" else None)
        return _back(f"/dead-letters/{name}", deed)

    return post


def _of_several(deeds: Deeds, deed: Deed) -> Handler:
    async def post(request: web.Request) -> web.Response:
        names = (await form_of(request)).getall("id", [])
        if not 1 <= len(names) <= MOST or not all(map(is_id, names)):
            raise ApiError(400, "bad_body", f"choose 1 to {MOST:,} letters")
        await deeds.ask_for(deed, names, BY)
        return _back("/dead-letters", deed)

    return post


def _back(path: str, deed: Deed) -> web.Response:
    """Lead to a page of which a reload repeats nothing."""
    return web.Response(status=303, headers={"Location": f"{path}?asked={deed}"})


def _pretty(value: bytes | None) -> str | None:
    """Return a value as text to be read and mended: JSON with indents, its numbers and texts as they are; None: none.

    A number that would be written in another way makes it the text that it is.
    """
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    try:
        parsed = orjson.loads(text)
        indented = orjson.dumps(parsed, option=orjson.OPT_INDENT_2).decode()
    except (ValueError, TypeError):  # no JSON; or nested deeper than can be written
        return text
    return indented if _dense(indented) == _dense(text) else text


def _dense(text: str) -> str:
    return "".join(text.split())


def hex_dump(data: bytes) -> str:
    """Return bytes as `hexdump -C` shows them."""
    lines = []
    for start in range(0, len(data), 16):
        part = data[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {part[:8].hex(' '):<23}  {part[8:].hex(' '):<23}  |{text}|")
    return "\n".join(lines)
