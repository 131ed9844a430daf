"""`/api/dead-letters`: letters by what is known of them, one letter whole, how many there are, and asking for deeds."""

from typing import Annotated

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from app.delivery.actions import MOST_BY, Deed
from app.delivery.mending import MendingError, mended
from app.delivery.selecting import is_id
from app.web.answers import answer
from app.web.deeds import MOST, Deeds
from app.web.errors import ApiError
from app.web.parameters import CHOOSING, after_in, limit_in, parameters, selection_in
from app.web.reading.letters import find_letter, letter_figures, letters_page
from app.web.reading.whole import Reading
from models.letters import Letter, letter_view, whole_letter_view


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request for a deed."""

    ids: list[str]
    by: Annotated[str, msgspec.Meta(max_length=MOST_BY)] = "api"
    set: list[str] = []


_ASKED = msgspec.json.Decoder(_Asked)


def dead_letter_routes(reading: Reading, deeds: Deeds) -> list[web.RouteDef]:
    """Return the routes of dead letters."""

    async def get_letters(request: web.Request) -> web.Response:
        given = parameters(request, (*CHOOSING, "since", "until", "limit", "after"))
        page = await letters_page(reading, selection_in(given), after_in(given), limit_in(given, 100, MOST))
        return answer({"letters": [letter_view(*named) for named in page.letters.items()], "next": page.following})

    async def get_letter(request: web.Request) -> web.Response:
        name = request.match_info["id"]
        parameters(request)
        return answer(whole_letter_view(name, await find_letter(reading, name)))

    async def get_stats(request: web.Request) -> web.Response:
        parameters(request)
        return answer(await letter_figures(reading))

    return [
        web.get("/api/dead-letters", get_letters),
        web.get("/api/dead-letters/stats", get_stats),
        web.get("/api/dead-letters/{id:[0-9]{1,9}-[0-9]{1,18}}", get_letter),
        web.post("/api/dead-letters/redrive", _handler("redrive", deeds)),
        web.post("/api/dead-letters/purge", _handler("purge", deeds)),
    ]


def _handler(which: Deed, deeds: Deeds) -> Handler:
    """Return what asks for a deed."""

    async def post_deed(request: web.Request) -> web.Response:
        parameters(request)
        if request.content_type != "application/json":  # no page of another site can send that unasked
            raise ApiError(415, "bad_content_type", "send the body with Content-Type: application/json")
        asked = _read(await _body(request))
        if which == "purge" and asked.set:
            raise ApiError(400, "bad_body", "set: nothing is mended that is purged")

        def mend(name: str, letter: Letter) -> bytes:
            try:
                return mended(letter.value_now, asked.set)
            except MendingError as error:
                raise ApiError(400, "bad_body", f"letter {name}: {error}") from error

        count = await deeds.ask_for(which, asked.ids, asked.by, mend if asked.set else None)
        return answer({"deed": which, "asked": count}, 202)

    return post_deed


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except (web.RequestPayloadError, ConnectionError) as error:  # garbage; or whoever sent it has gone
        raise ApiError(400, "bad_body", "the body is not as the headers say, or not whole") from error


def _read(body: bytes) -> _Asked:
    try:
        asked = _ASKED.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, "bad_body", f'the body must be JSON such as {{"ids": ["2-1234"]}}: {error}') from error
    if not 1 <= len(asked.ids) <= MOST or not all(map(is_id, asked.ids)):
        raise ApiError(400, "bad_body", f"ids: must be 1 to {MOST:,} ids of letters")
    return asked
