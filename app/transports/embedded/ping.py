"""Asks a server whether it is there, over a raw socket: no client library is needed to find out."""

import socket
from pathlib import Path

PONG = b"+PONG"
LOADING = b"-LOADING"


def ping(path: Path, timeout: float) -> bytes:
    """Return the first line that the server at this unix socket answers to PING; empty if none in `timeout` seconds."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            answer = b""
            while b"\n" not in answer and (more := connection.recv(512)):
                answer += more
    except OSError:
        return b""
    return answer.split(b"\r\n")[0]
