"""What Redis' client raises becomes the engine's errors: the code that a server's answer begins with decides."""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions as redis_errors

from app.engine.errors import EngineError, Inconsistent, Refused, Unavailable

LOGIN = "check user and password (in ORDERS_BROKER, or ORDERS_REDIS_USERNAME and ORDERS_REDIS_PASSWORD)"
RIGHTS = "give this user the rights that docs/operating.md lists (ACL SETUSER)"
NOT_OURS = "NOTOURS"
"""Our scripts' own code: a key or an entry is not what we make of it."""

_NOT_NOW = frozenset({"BUSY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "UNBLOCKED"})
_NO_WRITES = frozenset({"OOM", "MISCONF", "READONLY", "NOREPLICAS"})
_LOGIN = frozenset({"NOAUTH", "WRONGPASS"})
_PLACE_IN_SCRIPT = re.compile(r"[.,]? script: [0-9a-f]{40}, on .*$")
_DATABASE = ("DB index is out of range", "invalid DB index", "SELECT is not allowed in cluster mode")
_RIGHTS_INSIDE_SCRIPTS = ("can't run this command", "can't access at least one of the keys", "ACL failure in script")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what the client raises into the engine's errors; `doing` says what was being done, to what."""
    try:
        yield
    except EngineError:
        raise
    except (redis_errors.RedisError, OSError) as error:
        raise _translated(doing, error) from error


def _translated(doing: str, error: Exception) -> EngineError:
    text, code = describe(error), code_of(error)
    if not text.startswith(code):
        text = f"{code} {text}"  # the client drops the codes that it knows
    refused = _refusal(error, text, code)
    if refused:
        return Refused(f"Redis refuses {doing}: {text}; {refused}")
    if code in (NOT_OURS, "WRONGTYPE"):
        return Inconsistent(
            f"{doing}: {text.removeprefix(NOT_OURS).strip()}: something else wrote it; remove it, or choose another "
            "database (ORDERS_BROKER) or ORDERS_TOPIC_PREFIX"
        )
    if code in _NO_WRITES:
        return Unavailable(f"Redis takes no writes now, while {doing}: {text}")
    if code in _NOT_NOW or isinstance(error, (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError)):
        return Unavailable(f"Redis did not answer while {doing}: {text}")
    return EngineError(f"Redis failed while {doing}: {text}")


def _refusal(error: Exception, text: str, code: str) -> str:
    """Return what to do about it if the server, or its certificate, will be the same however often it is tried."""
    if code in _LOGIN or isinstance(error, redis_errors.AuthenticationError):
        return LOGIN
    if code == "NOPERM" or any(part in text for part in _RIGHTS_INSIDE_SCRIPTS):
        return RIGHTS
    if code == "DENIED":
        return "it is in protected mode: give it a password, and name it here"
    if isinstance(error, redis_errors.InvalidResponse):
        return "this is no Redis: check host and port in ORDERS_BROKER"
    if any(part in text for part in _DATABASE):
        return "choose another database number in ORDERS_BROKER"
    return _tls_refusal(error)


def _tls_refusal(error: BaseException | None) -> str:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            if "mismatch" in error.verify_message or "not valid for" in error.verify_message:
                return "write the host in ORDERS_BROKER as the server's certificate has it"
            return "its certificate is not trusted: set ORDERS_REDIS_CA_FILE to the authority that made it"
        if isinstance(error, ssl.SSLError):
            if "CERTIFICATE" in str(error.reason) or "CERTIFICATE" in str(error).upper():
                return "it asks for a certificate of ours: set ORDERS_REDIS_CERT_FILE and ORDERS_REDIS_KEY_FILE"
            if error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST"}:
                return "this port does not speak TLS: write redis:// in ORDERS_BROKER, or name its TLS port"
        error = error.__cause__ or error.__context__
    return ""


def code_of(error: BaseException) -> str:
    """Return the code that a server's error begins with, for instance "OOM"; "" for what no server said."""
    if not isinstance(error, redis_errors.RedisError):
        return ""
    words = str(error).split(maxsplit=1)
    return error.status_code or (words[0] if words and words[0].isupper() else "")


def describe(error: BaseException) -> str:
    """Return an error as one short line, without where in a script it happened."""
    text = " ".join(str(error).split()) or type(error).__name__
    return _PLACE_IN_SCRIPT.sub("", text).removesuffix(".")
