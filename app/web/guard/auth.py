"""Who may ask: everybody, or whoever brings the token of ORDERS_WEB_TOKEN, in a header or as a browser's session.

Workers bring each other a key of their own (`app.web.keys`), so that nobody who guesses tokens can shut them out.
"""

import hmac

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app.engine.errors import Unusable
from app.settings import Settings
from app.web.errors import ApiError
from app.web.guard.hosts import PROBES, READING, is_loopback
from app.web.guard.limits import INTERNAL, Allowance, client_of, too_many
from app.web.keys import encoded, session_key, worker_key

OPEN_PATHS = PROBES | {"/login"}
"""What needs no token."""

OPEN_PREFIX = "/static/"
"""Style and script, the same for everybody."""

SESSION_COOKIE = "orderflow_session"
SESSION_SECONDS = 7 * 86_400

WRONG_PER_SECOND, WRONG_AT_ONCE = 0.2, 10
"""Wrong tokens that an address may try."""


class Tokens:
    """Checks the token, and the sessions of those who gave it."""

    def __init__(self, settings: Settings) -> None:
        token = settings.web_token
        self.needed = token is not None
        self._token = encoded(token.get_secret_value()) if token is not None else b""
        self.session = session_key(token) if token is not None else ""
        self._worker = worker_key(token) if token is not None else ""
        self._open_reading = settings.web_open_reading
        self._wrong = Allowance(WRONG_PER_SECOND, WRONG_AT_ONCE)

    def is_right(self, given: str, client: str) -> bool:
        """Whether it is the token; raises `ApiError` (429) if `client` has tried too many wrong ones."""
        wait = self._wrong.left(client)
        if wait:
            raise too_many(wait, "wrong tokens")
        right = _same(given.strip(), self._token)
        if not right:
            self._wrong.take(client)
        return right

    def may(self, request: web.Request) -> bool:
        """Whether a request may have what it asks for."""
        path = request.path
        if not self.needed or path in OPEN_PATHS or path.startswith(OPEN_PREFIX):
            return True
        if path.startswith(INTERNAL):
            return _same(_bearer(request), self._worker.encode())
        if self._open_reading and request.method in READING:
            return True
        return self.is_known(request)

    def is_known(self, request: web.Request) -> bool:
        """Whether a request brings the token, or a session."""
        if not self.needed:
            return True
        given = _bearer(request)
        return self.is_right(given, client_of(request)) if given else self.has_session(request)

    def has_session(self, request: web.Request) -> bool:
        """Whether a browser has given the token."""
        return self.needed and _same(request.cookies.get(SESSION_COOKIE, ""), self.session.encode())


def _bearer(request: web.Request) -> str:
    """Return what follows "Bearer" in the header Authorization; "": there is none."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return given if scheme.lower() == "bearer" else ""


def _same(given: str, right: bytes) -> bool:
    """Compare in constant time: how long it takes must not tell how much of a guess was right."""
    return hmac.compare_digest(encoded(given), right)


def token_check(tokens: Tokens) -> Middleware:
    """Return a middleware that lets only those pass who may."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not tokens.may(request):
            raise ApiError(
                401,
                "unauthorized",
                "this needs the header Authorization: Bearer … with the token of ORDERS_WEB_TOKEN",
                {"WWW-Authenticate": 'Bearer realm="orderflow"'},
            )
        return await handler(request)

    return check


def refuse_if_open(settings: Settings, bind: str) -> None:
    """Raise `Unusable` if anybody in the network could read and change everything."""
    if settings.web_token is None and not is_loopback(bind):
        raise Unusable(
            f"the web server would listen on {bind or 'all addresses'} without a token, open to whoever reaches it; "
            "set ORDERS_WEB_TOKEN, or ORDERS_WEB_HOST=127.0.0.1"
        )
