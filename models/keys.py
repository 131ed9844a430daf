"""How the key of a row is made of several parts. Which parts a table uses is the table's to say."""

SEPARATOR = "\x1f"
"""Stands between the parts of a key. No id can hold it: ids have no control characters."""


def join_key(*parts: str) -> str:
    """Make one key of several parts."""
    return SEPARATOR.join(parts)


def split_key(key: str) -> list[str]:
    """Take a key apart again."""
    return key.split(SEPARATOR)
