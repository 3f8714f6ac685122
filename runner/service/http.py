"""The HTTP side of the local service: reads requests, and refuses web pages.

A browser lets every web page connect to this machine. `AccessPolicy` therefore checks
`Origin`, which a page cannot forge, and `Host`, which contains the name of the page if
that name was made to resolve to this machine (DNS rebinding).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import h11

from runner.errors import UsageError
from runner.hosts import host_in_header, is_address, is_this_machine

# More of a body is not awaited before the request is answered.
_MAX_BODY_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request; names of headers are lower-case."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def is_upgrade(self) -> bool:
        """True if the request asks for a WebSocket."""
        return self.method == "GET" and any(
            "websocket" in value.lower() for value in self.all("upgrade")
        )

    def all(self, name: str) -> list[str]:
        """Returns the values of a header."""
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str | None:
        """Returns the last value of a header, or None."""
        return next(reversed(self.all(name)), None)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer with a JSON body; no body if it is None."""

    status: int
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0  # before it is sent

    def encode(self, *, with_body: bool = True) -> bytes:
        """Returns the answer as it is sent; the connection closes after it."""
        body = b"" if self.body is None else json.dumps(self.body).encode()
        headers = {**self.headers, "Connection": "close"}
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        if self.status != HTTPStatus.NO_CONTENT:
            headers["Content-Length"] = str(len(body))
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        return head + (body if with_body else b"")


class RequestReader:
    """Reads the first request of a connection, with its body.

    `data` contains everything that was fed until the request was complete.
    """

    def __init__(self) -> None:
        self.data = b""
        self.request: HttpRequest | None = None
        self.error: HttpAnswer | None = None  # for what is not a request
        self.is_complete = False
        self._body = b""
        self._connection = h11.Connection(h11.SERVER)

    def feed(self, data: bytes) -> None:
        """Adds data; empty data is the end of the connection."""
        if self.request is None:
            self.data += data
        try:
            self._connection.receive_data(data)
            while not self.is_complete:
                event = self._connection.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    # The client sends the body only after an answer.
                    if self._connection.they_are_waiting_for_100_continue:
                        self.is_complete = True
                    return
                self._take(event)
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            self.error = HttpAnswer(status, {"detail": f"Invalid request: {error}"})
            self.is_complete = True

    def _take(self, event: Any) -> None:
        match event:
            case h11.Request():
                self.request = HttpRequest(
                    event.method.decode("ascii"),
                    event.target.decode("ascii", "replace"),
                    [
                        (name.decode("latin-1"), value.decode("latin-1"))
                        for name, value in event.headers
                    ],
                )
                self.is_complete = self.request.is_upgrade
            case h11.Data():
                self._body += event.data
                self.is_complete = len(self._body) > _MAX_BODY_BYTES
            case _:  # end of the message or of the connection
                self.is_complete = True
                if self.request is not None:
                    self.request = replace(self.request, body=self._body)


class AccessPolicy:
    """Decides which web pages and host names may be used to reach the service.

    `origins` are allowed in addition to pages of this machine, and their hosts as
    names of the service. Raises UsageError for what is not an origin.
    """

    def __init__(self, host: str, origins: Sequence[str] = ()) -> None:
        self._host = host.lower()
        self._origins = frozenset(_read_origin(origin) for origin in origins)
        self._names = {urlsplit(origin).hostname for origin in self._origins}

    def check(self, request: HttpRequest) -> HttpAnswer | None:
        """Returns the refusal of a request, or None if it is allowed."""
        for origin in request.all("origin"):
            if not self.allows_origin(origin):
                return _refuse(
                    f"Origin '{origin}' is not allowed; "
                    "start the service with --origin and this value"
                )
        host = request.get("host") or ""
        if not self.allows_host(host_in_header(host)):
            return _refuse(
                f"Host '{host}' is not allowed; connect to 127.0.0.1 or localhost, "
                "or start the service with --origin and the URL of this host"
            )
        return None

    def allows_origin(self, origin: str) -> bool:
        """True if pages of this origin may connect."""
        if origin.lower() in self._origins:
            return True
        try:
            address = urlsplit(origin)
            name = address.hostname
        except ValueError:
            return False
        is_page = address.scheme in ("http", "https")
        return is_page and name is not None and is_this_machine(name)

    def allows_host(self, name: str) -> bool:
        """True if the server may be reached by this host name."""
        if is_this_machine(name) or name == self._host or name in self._names:
            return True
        # Behind a forwarded port the address is not the one of this machine. A name can
        # be made to resolve to any address; an address cannot.
        return is_address(name) and not is_this_machine(self._host)


def _read_origin(text: str) -> str:
    """Returns an origin in lower case, as browsers send it."""
    origin = text.strip().rstrip("/").lower()
    try:
        address = urlsplit(origin)
        is_origin = bool(address.scheme and address.hostname)
        is_origin = is_origin and not (address.path or address.query)
    except ValueError:
        is_origin = False
    if not is_origin and origin != "null":
        raise UsageError(
            f"'{text}' is not an origin",
            hint="pass scheme and host, for example --origin https://app.example.com",
        )
    return origin


def _refuse(detail: str) -> HttpAnswer:
    return HttpAnswer(403, {"detail": detail})
