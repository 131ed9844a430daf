"""`/login`: where a browser gives the token, and gets a session for it."""

from aiohttp import web

from app.web.guard.auth import SESSION_COOKIE, SESSION_SECONDS, Tokens
from app.web.guard.forms import form_of
from app.web.guard.limits import client_of
from app.web.pages.rendering import page, rendered

MOST_BYTES = 16 << 10
"""Of the form, which anybody may send."""


def login_routes(tokens: Tokens) -> list[web.RouteDef]:
    """Return the routes of the log-in."""

    def form(following: str, *, known: bool = False, wrong: bool = False) -> web.Response:
        shown = {"following": following, "needed": tokens.needed, "known": known, "wrong": wrong}
        return page(rendered("login.html", {**shown, "place": None, "live": None}), 401 if wrong else 200)

    async def get_login(request: web.Request) -> web.Response:
        return form(_local(request.query.get("next", "/")), known=tokens.has_session(request))

    async def post_login(request: web.Request) -> web.Response:
        given = await form_of(request, MOST_BYTES)
        following = _local(given.get("next", "/"))
        if tokens.needed and not tokens.is_right(given.get("token", ""), client_of(request)):
            return form(following, wrong=True)
        response = web.Response(status=303, headers={"Location": following})
        if tokens.needed:
            response.set_cookie(
                SESSION_COOKIE,
                tokens.session,
                max_age=SESSION_SECONDS,
                path="/",
                httponly=True,
                samesite="Strict",
                secure=request.headers.get("Origin", "").startswith("https:"),  # also where a proxy does TLS
            )
        return response

    async def post_logout(_request: web.Request) -> web.Response:
        response = web.Response(status=303, headers={"Location": "/login"})
        response.del_cookie(SESSION_COOKIE, path="/")
        return response

    return [web.get("/login", get_login), web.post("/login", post_login), web.post("/logout", post_logout)]


def _local(address: str) -> str:
    """Return an address of ours as it is; of any other, our own front page."""
    ours = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if ours and address.isprintable() else "/"
