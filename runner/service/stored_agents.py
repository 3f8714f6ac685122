"""Agents that the local service stores; clients name one by its `agent_id`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from runner.protocol.messages import JsonObject
from runner.protocol.server.config import InvalidConfig, apply_update, default_settings
from runner.service.http import HttpAnswer, HttpRequest

PATH = "/v1/agents"
# A client can create agents, but not fill the memory.
_MAX_CREATED = 100
# Fields of a record that are not part of a session.
_RECORD_FIELDS = ("id", "name", "created_at", "updated_at")


class StoredAgents:
    """The `session` objects of agents by their id, and the HTTP requests about them."""

    def __init__(self, agents: Mapping[str, JsonObject] | None = None) -> None:
        self._sessions: dict[str, JsonObject] = dict(agents or {})
        self._names: dict[str, str] = {each: each for each in self._sessions}
        self._created: list[str] = []  # by clients, oldest first

    def find(self, agent_id: str) -> JsonObject | None:
        """Returns the `session` object of an agent, None if there is none."""
        return self._sessions.get(agent_id)

    def answer(self, request: HttpRequest, voices: tuple[str, ...]) -> HttpAnswer:
        """Answers GET and POST of `/v1/agents` and GET of `/v1/agents/{id}`."""
        agent_id = request.path.removeprefix(PATH).strip("/")
        if request.method == "GET" and not agent_id:
            records = [self._record(each) for each in self._sessions]
            return HttpAnswer(200, {"agents": records})
        if request.method == "GET":
            if agent_id not in self._sessions:
                return HttpAnswer(404, {"detail": "Agent not found"})
            return HttpAnswer(200, self._record(agent_id))
        if request.method == "POST" and not agent_id:
            return self._create(request.body, voices)
        detail = {"detail": "Method Not Allowed"}
        return HttpAnswer(405, detail, {"Allow": "GET" if agent_id else "GET, POST"})

    def _record(self, agent_id: str) -> dict[str, Any]:
        name = self._names[agent_id]
        return {"id": agent_id, "name": name, **self._sessions[agent_id]}

    def _create(self, body: bytes, voices: tuple[str, ...]) -> HttpAnswer:
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            return HttpAnswer(422, {"detail": "The body is not JSON"})
        if not isinstance(content, dict):
            return HttpAnswer(422, {"detail": "The body is not a JSON object"})
        session = {k: v for k, v in content.items() if k not in _RECORD_FIELDS}
        checked = apply_update(default_settings(), session, first=True, voices=voices)
        if isinstance(checked, InvalidConfig):
            loc = ["body", checked.param or ""]
            detail = [{"type": checked.code, "loc": loc, "msg": checked.message}]
            return HttpAnswer(422, {"detail": detail})
        agent_id = f"agent_{uuid.uuid4().hex}"
        name = content.get("name")
        self._sessions[agent_id] = session
        self._names[agent_id] = name if isinstance(name, str) else agent_id
        self._created.append(agent_id)
        if len(self._created) > _MAX_CREATED:
            oldest = self._created.pop(0)
            del self._sessions[oldest], self._names[oldest]
        return HttpAnswer(201, self._record(agent_id))
