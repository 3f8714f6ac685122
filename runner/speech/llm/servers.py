"""Finds servers of language models on this machine, to mention them to the user.

They are recognized by the list of models of OpenAI's protocol, not by an open port, and
are never used without being named in an agent file.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_HOST = "127.0.0.1"
# The default ports.
PORTS: Mapping[str, int] = {"Ollama": 11_434, "LM Studio": 1_234, "llama.cpp": 8_080}
_SECONDS = 0.2
_MAX_BYTES = 256 * 1024
# Models that only embed text cannot hold a conversation.
_EMBEDDING = ("embed", "bge-", "minilm", "rerank")


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server that answers; `model` is the first of its models."""

    name: str
    url: str
    model: str

    @property
    def yaml(self) -> str:
        """The line of an agent file that uses it."""
        llm = f"{{url: {json.dumps(self.url)}, model: {json.dumps(self.model)}}}"
        return f"local: {{llm: {llm}}}"


def find_servers(ports: Mapping[str, int] = PORTS) -> list[LocalServer]:
    """Returns the servers that answer within a fifth of a second each."""
    found = []
    for name, port in ports.items():
        model = _first_model(port)
        if model is not None:
            found.append(LocalServer(name, f"http://{_HOST}:{port}/v1", model))
    return found


def _first_model(port: int) -> str | None:
    # A proxy of the environment does not reach this machine, so it is not asked.
    connection = http.client.HTTPConnection(_HOST, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/v1/models", headers={"Connection": "close"})
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            return None
        return read_first_model(json.loads(answer.read(_MAX_BYTES)))
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return None
    finally:
        connection.close()


def read_first_model(content: Any) -> str | None:
    """Returns the first model for conversation in a list of models, else None."""
    models = content.get("data") if isinstance(content, dict) else None
    if not isinstance(models, list):
        return None
    names = [each.get("id") for each in models if isinstance(each, dict)]
    texts = [each for each in names if isinstance(each, str) and each.isprintable()]
    return next((each for each in texts if _converses(each)), None)


def _converses(model: str) -> bool:
    return not any(part in model.lower() for part in _EMBEDDING)
