"""Agents that the local service stores: over HTTP, and in a session."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import websockets

from runner.service.app import LocalService
from runner.service.http import HttpRequest
from runner.service.stored_agents import StoredAgents
from tests.service.client import Client
from tests.service.scripted import ScriptedSpeech
from tests.service.test_app import LINES, decide

SUPPORT = {"system_prompt": "You help.", "greeting": "Hello from support."}


async def fetch(service: LocalService, method: str, path: str, **options: Any) -> Any:
    root = service.url.replace("ws:", "http:").removesuffix("/v1/ws")
    async with httpx.AsyncClient(base_url=root) as http:
        return await http.request(method, path, **options)


def service(**options: Any) -> LocalService:
    return LocalService(
        ScriptedSpeech(LINES, decide), agents={"support": SUPPORT}, **options
    )


async def test_a_client_names_a_stored_agent_and_hears_its_greeting() -> None:
    async with service() as running, websockets.connect(running.url) as socket:
        client = Client(socket)
        ready = await client.open(agent_id="support")
        said = await client.until("transcript.agent")
    assert ready["config"]["system_prompt"] == "You help."
    assert said["text"] == "Hello from support."


@pytest.mark.parametrize(
    ("session", "code"),
    [
        ({"agent_id": "other"}, "agent_not_found"),
        ({"agent_id": 7}, "agent_not_found"),
        ({"agent_id": "support", "greeting": "Hi"}, "invalid_value"),
    ],
)
async def test_other_agents_and_overrides_are_refused(
    session: dict[str, Any], code: str
) -> None:
    async with service() as running, websockets.connect(running.url) as socket:
        client = Client(socket)
        await client.send("session.update", session=session)
        assert (await client.until("session.error"))["code"] == code
        assert await client.closed() == 1008


async def test_agents_are_listed_and_shown() -> None:
    async with service() as running:
        listed = (await fetch(running, "GET", "/v1/agents")).json()
        shown = (await fetch(running, "GET", "/v1/agents/support")).json()
        missing = await fetch(running, "GET", "/v1/agents/other")
        wrong = await fetch(running, "DELETE", "/v1/agents/support")
    assert listed == {"agents": [shown]}
    assert shown == {"id": "support", "name": "support", **SUPPORT}
    assert (missing.status_code, wrong.status_code) == (404, 405)


async def test_an_agent_that_a_client_creates_is_called_by_its_id() -> None:
    body = {"name": "desk", "system_prompt": "You help.", "greeting": "Desk here."}
    async with service() as running:
        created = await fetch(running, "POST", "/v1/agents", json=body)
        assert created.status_code == 201
        async with websockets.connect(running.url) as socket:
            client = Client(socket)
            await client.open(agent_id=created.json()["id"])
            said = await client.until("transcript.agent")
    assert created.json()["name"] == "desk"
    assert said["text"] == "Desk here."


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"greeting": null}', b'{"output": {"voice": "x"}}']
)
async def test_what_is_not_an_agent_is_refused_with_json(content: bytes) -> None:
    async with service() as running:
        answer = await fetch(running, "POST", "/v1/agents", content=content)
    assert answer.status_code == 422
    assert answer.json()["detail"]


async def test_the_key_protects_the_agents() -> None:
    async with service(key="sk-1") as running:
        for headers, status in (
            ({}, 404),
            ({"Authorization": "Bearer wrong"}, 404),
            ({"Authorization": "Bearer sk-1"}, 200),
        ):
            answer = await fetch(running, "GET", "/v1/agents", headers=headers)
            assert answer.status_code == status


def test_the_agents_that_clients_create_are_bounded() -> None:
    agents = StoredAgents({"support": SUPPORT})
    request = HttpRequest("POST", "/v1/agents", body=b'{"system_prompt": "x"}')
    answers = [agents.answer(request, ()) for _ in range(150)]
    ids = [(answer.body or {})["id"] for answer in answers]
    assert agents.find("support") == SUPPORT
    assert agents.find(ids[-1]) is not None
    assert sum(agents.find(each) is not None for each in ids) == 100
