"""A door on this machine at which the metrics are asked for: GET /metrics."""

from __future__ import annotations

import contextlib
import os
import socketserver
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import TypeAlias
from urllib.parse import urlsplit

from runner.errors import TransportError, os_error_text

_HOST = "127.0.0.1"
_PATH = "/metrics"
# Seconds until somebody who connects and asks nothing is turned away.
_PATIENCE = 5.0
# Returns the content type and the body for an Accept header; on threads of the door.
Render: TypeAlias = Callable[[str], tuple[str, bytes]]


class _Door(socketserver.ThreadingTCPServer):
    """Listens; not the library's HTTP server, which looks its own name up first."""

    daemon_threads = True
    # On Windows this would take a port away from whoever listens there.
    allow_reuse_address = os.name != "nt"

    def __init__(self, port: int, render: Render) -> None:
        self.render = render
        super().__init__((_HOST, port), _Scrape)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a scraper that left: the library prints a traceback."""


class _Scrape(BaseHTTPRequestHandler):
    server: _Door
    timeout = _PATIENCE

    def do_GET(self) -> None:
        """Answer with the metrics; there is nothing else here."""
        if urlsplit(self.path).path != _PATH:
            self._answer(404, "text/plain", f"the metrics are at {_PATH}\n".encode())
            return
        content_type, body = self.server.render(self.headers.get("Accept", ""))
        self._answer(200, content_type, body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the library's line for every request off the terminal."""

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def serve_metrics(port: int, render: Render) -> Iterator[str]:
    """Answer on a thread of its own while the context lasts; yields the address.

    Port 0 takes a free one. Raises TransportError when the port cannot be had.
    """
    try:
        door = _Door(port, render)
    except OSError as error:
        raise TransportError(
            f"the metrics cannot be served on {_HOST}:{port}: {os_error_text(error)}",
            hint="choose another port with --metrics; --metrics 0 takes a free one",
        ) from error
    with door:
        # Asked so often whether to stop; a twentieth of a second at the end of a call.
        serving = threading.Thread(
            target=door.serve_forever, args=(0.05,), name="metrics", daemon=True
        )
        serving.start()
        try:
            yield f"http://{_HOST}:{door.server_address[1]}{_PATH}"
        finally:
            door.shutdown()
