"""A fraud service on this machine, for tests of a team's own check: down for some customers until told otherwise."""

import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class FraudServer:
    """Answers `/CUSTOMER/ORDER`; `calls` lists what was asked.

    Customers named `down…` get 503 while it is `down`, `slow…` no answer while it `hangs`, `fraud…` are frauds.
    """

    def __init__(self) -> None:
        self.down = self.hangs = True
        self.calls: list[str] = []
        fraud = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fraud.calls.append(self.path)
                customer = self.path.split("/")[1]
                while fraud.hangs and customer.startswith("slow"):
                    time.sleep(0.02)
                status = 503 if fraud.down and customer.startswith("down") else 200
                body = json.dumps({"fraud": customer.startswith("fraud")}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(BrokenPipeError, ConnectionResetError):  # whoever asked has been killed
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.hangs = False
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
