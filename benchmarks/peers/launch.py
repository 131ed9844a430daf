"""Start a module with variables in its environment, in the same process: `python -m … NAME=VALUE… MODULE ARGUMENT…`.

Tools that are started by their own command read the server's address from the environment, as their documentation has
it; what the harness runs is only a Python interpreter with arguments.
"""

import os
import sys

URL = "REDIS_URL"
"""Names the server, to every module of a peer."""


def launch(url: str, *arguments: str, **variables: str) -> list[str]:
    """Return the interpreter's arguments that start a module (the first of `arguments`) on the server at `url`."""
    settings = [f"{name}={value}" for name, value in {URL: url, **variables}.items()]
    return ["-m", "benchmarks.peers.launch", *settings, *arguments]


def main(arguments: list[str]) -> None:
    """Become the module."""
    while "=" in arguments[0]:
        name, _, value = arguments.pop(0).partition("=")
        os.environ[name] = value
    os.execv(sys.executable, [sys.executable, "-m", *arguments])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
