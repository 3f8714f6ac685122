"""A client of the real yaml-language-server: opens texts, and asks as editors do."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from threading import Timer
from typing import Any, Self

_SETTINGS = {
    "yaml": {
        "validate": True,
        "hover": True,
        "completion": True,
        "schemaStore": {"enable": False},  # nothing is fetched
        "kubernetesCRDStore": {"enable": False},
    }
}
_CAPABILITIES = {
    "workspace": {"configuration": True, "didChangeConfiguration": {}},
    "textDocument": {
        "publishDiagnostics": {"relatedInformation": True},
        "hover": {"contentFormat": ["markdown", "plaintext"]},
        "completion": {
            "completionItem": {
                "snippetSupport": True,
                "documentationFormat": ["markdown", "plaintext"],
            }
        },
    },
}
_TIME = 120  # seconds that a server lives at most


class LanguageServer:
    """One running server; `folder` is the workspace, which contains the schema.

    Used as a context manager. A server that hangs is killed, which ends every wait.
    """

    def __init__(self, command: list[str], folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [*command, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._watchdog = Timer(_TIME, self._process.kill)
        self._requests = 0
        self._opened = 0
        self._diagnostics: dict[str, list[dict[str, Any]]] = {}

    def __enter__(self) -> Self:
        self._watchdog.start()
        uri = self._folder.as_uri()
        self._ask(
            "initialize",
            {
                "processId": None,
                "rootUri": uri,
                "workspaceFolders": [{"uri": uri, "name": "agents"}],
                "capabilities": _CAPABILITIES,
            },
        )
        self._notify("initialized", {})
        self._notify("workspace/didChangeConfiguration", {"settings": _SETTINGS})
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._watchdog.cancel()

    def open(self, text: str) -> str:
        """Open a text as a new file of the workspace; return its address."""
        self._opened += 1
        uri = (self._folder / f"{self._opened}.yaml").as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._notify("textDocument/didOpen", {"textDocument": document})
        return uri

    def diagnostics(self, uri: str) -> list[dict[str, Any]]:
        """Return what the server flags in an open file."""
        while uri not in self._diagnostics:
            self._handle(self._read())
        return self._diagnostics[uri]

    def hover(self, uri: str, line: int, character: int) -> str:
        """Return what is shown over a place, counted from 0; empty for nothing."""
        shown = self._ask("textDocument/hover", _place(uri, line, character))
        return shown["contents"]["value"] if shown else ""

    def complete(self, uri: str, line: int, character: int) -> list[dict[str, Any]]:
        """Return what is offered at a place, counted from 0."""
        offered = self._ask("textDocument/completion", _place(uri, line, character))
        items: list[dict[str, Any]] = offered["items"] if offered else []
        return items

    def _ask(self, method: str, parameters: Mapping[str, Any]) -> Any:
        self._requests += 1
        number = self._requests
        self._send({"id": number, "method": method, "params": parameters})
        while True:
            message = self._read()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message["error"]
                return message["result"]
            self._handle(message)

    def _notify(self, method: str, parameters: Mapping[str, Any]) -> None:
        self._send({"method": method, "params": parameters})

    def _handle(self, message: dict[str, Any]) -> None:
        """Stores the notifications of the server and answers its requests."""
        parameters: Any = message.get("params")
        match message.get("method"):
            case "textDocument/publishDiagnostics":
                self._diagnostics[parameters["uri"]] = parameters["diagnostics"]
            case "workspace/configuration":
                sections = [each.get("section") for each in parameters["items"]]
                answer = [_SETTINGS.get(section) for section in sections]
                self._send({"id": message["id"], "result": answer})
            case str() if "id" in message:
                self._send({"id": message["id"], "result": None})

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        pipe = self._process.stdout
        assert pipe is not None
        length = 0
        while (line := pipe.readline()) != b"\r\n":
            assert line, "the language server is gone"
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        message: dict[str, Any] = json.loads(pipe.read(length))
        return message


def _place(uri: str, line: int, character: int) -> dict[str, Any]:
    return {
        "textDocument": {"uri": uri},
        "position": {"line": line, "character": character},
    }
