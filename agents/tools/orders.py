"""A small order service, for the HTTP tool of the support agent.

    python agents/tools/orders.py [--port 8766]

It prints its address and answers GET /orders/{id} with JSON until it is stopped by
Ctrl-C. With `--port 0` it takes a free port and prints that.

    python agents/tools/orders.py --port 0 --while COMMAND...

serves for as long as the command runs, in which `{url}` becomes the address, and exits
as the command does.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

ORDERS = {
    "1234": {"item": "espresso machine", "status": "shipped", "arrives": "Thursday"},
    "2345": {"item": "milk jug", "status": "delivered", "delivered": "last Monday"},
    "4321": {"item": "coffee grinder", "status": "being packed", "arrives": "Friday"},
    "5678": {
        "item": "two bags of beans",
        "status": "delayed",
        "reason": "out of stock",
        "arrives": "next week",
    },
    "9876": {"item": "descaler", "status": "cancelled", "refund": "on its way"},
}

_PATH = re.compile(r"/orders/([^/?#]+)")


class OrderHandler(BaseHTTPRequestHandler):
    """Answers one request for an order."""

    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds; then a silent connection is closed

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/health":
            self._answer(HTTPStatus.OK, {"status": "ok"})
            return
        match = _PATH.fullmatch(path)
        if match is None:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "no such page"})
        elif (order := ORDERS.get(match[1])) is None:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "no such order"})
        else:
            self._answer(HTTPStatus.OK, {"order_id": match[1], **order})

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the demo's terminal belongs to the call."""

    def _answer(self, status: HTTPStatus, content: dict[str, str]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class OrderServer(ThreadingHTTPServer):
    """Serves orders on the loopback interface."""

    daemon_threads = True
    # On Windows this option would let two servers share a port unnoticed.
    allow_reuse_address = sys.platform != "win32"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serve(port: int = 0) -> Iterator[str]:
    """Serve orders in a thread and give the url; port 0 is any free one.

    Raises OSError when the port is taken.
    """
    server = OrderServer(("127.0.0.1", port), OrderHandler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def serve_while(port: int, command: list[str]) -> int:
    """Serve while a command runs; return its exit code."""
    with serve(port) as url:
        child = subprocess.Popen([word.replace("{url}", url) for word in command])
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue  # the command got it too, and decides what it means


def serve_until_stopped(port: int) -> int:
    """Serve in the foreground until Ctrl-C."""
    with OrderServer(("127.0.0.1", port), OrderHandler) as server:
        # The first line is for whoever started this and has to know the port.
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 130
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="A small order service.")
    parser.add_argument("--port", type=int, default=8766, help="0: any free port")
    parser.add_argument(
        "--while",
        dest="command",
        nargs=argparse.REMAINDER,
        help="serve while this command runs; {url} in it becomes the address",
    )
    arguments = parser.parse_args()
    port: int = arguments.port
    if not 0 <= port <= 65535:
        parser.error(f"there is no port {port}")
    try:
        if arguments.command:
            return serve_while(port, arguments.command)
        return serve_until_stopped(port)
    except OSError as error:
        sys.stderr.write(
            f"port {port} cannot be used: {error.strerror}\n"
            "  --port 0 takes any that is free\n"
        )
        return 3


if __name__ == "__main__":
    sys.exit(main())
