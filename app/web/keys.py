"""What is shown instead of the token: by browsers that gave it once, and by workers to each other.

Each is a keyed hash under the token (HMAC-SHA-256, in hexadecimal digits): it cannot be guessed, ends with the token,
and does not give it away.
"""

import hmac
from hashlib import sha256

from pydantic import SecretStr


def session_key(token: SecretStr) -> str:
    """Return what a browser keeps as its session."""
    return _key(token, b"session")


def worker_key(token: SecretStr) -> str:
    """Return what a worker brings to another one of the same token."""
    return _key(token, b"worker")


def encoded(text: str) -> bytes:
    """Return any text as bytes: whoever guesses sends what is none, too."""
    return text.encode("utf-8", "surrogatepass")


def _key(token: SecretStr, what: bytes) -> str:
    return hmac.new(encoded(token.get_secret_value()), b"orderflow " + what, sha256).hexdigest()
