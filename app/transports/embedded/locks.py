"""Locks on whole files (flock): who holds one is known for certain, since the kernel frees it when its holder ends."""

import errno
import fcntl
import os
from pathlib import Path

from app.engine.errors import Refused

UNSUPPORTED = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL}


def open_lock(path: Path) -> int:
    """Open a lock's file, made if need be, and return its descriptor, which holds no lock yet; raises OSError."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def try_lock(descriptor: int, path: Path, *, shared: bool) -> bool:
    """Take the lock if it is free now, and say whether it was; raises `Refused` where the file system has no locks."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        raise Refused(
            f"the file system of {path.parent} has no file locks ({error.strerror}), which the embedded broker needs: "
            f"set ORDERS_DATA_DIR to a folder on a local disk"
        ) from error
    return True


def is_same_file(descriptor: int, path: Path) -> bool:
    """Say whether `path` still is the file that was opened: not moved, deleted or replaced."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
