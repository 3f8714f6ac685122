"""Servers of language models on this machine, over real loopback connections."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import yaml

from runner.speech.llm.servers import find_servers, read_first_model


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    """Answers every GET; yields the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_right = self.path == "/v1/models"
            self.send_response(status if is_right else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_server_is_found_with_its_model_and_the_lines_that_use_it() -> None:
    body = json.dumps({"object": "list", "data": [{"id": "llama3.1:8b"}]}).encode()
    with answering(200, body) as port:
        (server,) = find_servers({"Ollama": port})
    url = f"http://127.0.0.1:{port}/v1"
    assert (server.name, server.url, server.model) == ("Ollama", url, "llama3.1:8b")
    assert yaml.safe_load(server.yaml) == {
        "local": {"llm": {"url": url, "model": "llama3.1:8b"}}
    }


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b'{"data": [{"id": "x"}]}'),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"data": []}'),
        (200, b"[" * 100_000),
    ],
)
def test_another_server_at_the_port_is_not_taken_for_one(
    status: int, body: bytes
) -> None:
    with answering(status, body) as port:
        assert find_servers({"Ollama": port}) == []


def test_a_closed_port_is_not_an_error() -> None:
    with answering(200, b"") as port:
        pass
    assert find_servers({"Ollama": port}) == []


@pytest.mark.parametrize(
    ("models", "first"),
    [
        ([{"id": "nomic-embed-text"}, {"id": "qwen3:4b"}], "qwen3:4b"),
        ([{"id": 3}, {"name": "x"}, "y"], None),
        ([{"id": "\x1b[31m"}], None),
        (None, None),
    ],
)
def test_the_first_model_for_conversation_is_chosen(
    models: object, first: str | None
) -> None:
    assert read_first_model({"data": models}) == first
