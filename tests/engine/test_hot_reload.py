"""`vagent run --watch` as a person meets it who edits files in the running call."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.protocol.messages import ReplyDone, ReplyStarted, ToolCall
from tests.terminal import Service, running, service

AGENT = """\
version: 1
name: tester
prompt: You test.
greeting: Hello.
tools:
  - python: tools/price.py:price
"""
TOOL = "from .table import PRICE\ndef price() -> int:\n    return PRICE + 0\n"


def write(path: Path, text: str) -> None:
    """Replace a file as editors do: a new one in the old one's place."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, "utf-8")
    os.replace(new, path)


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    tools = tmp_path / "tools"
    tools.mkdir()
    write(tools / "price.py", TOOL)
    write(tools / "table.py", "PRICE = 10\n")
    path = tmp_path / "agent.yaml"
    write(path, AGENT)
    return path


async def ask(far_end: Service, call_id: str) -> str:
    """Return what the tool answers to a call."""
    await far_end.say(
        ReplyStarted(call_id), ToolCall(call_id, "price", {}), ReplyDone(call_id)
    )
    return str((await far_end.got("tool.result", "call_id", call_id))["result"])


async def test_an_edited_agent_is_followed_in_the_running_call(agent: Path) -> None:
    tools = agent.parent / "tools"
    async with service() as (far_end, url):
        watched = ("run", agent, "--service", url, "--text", "--output", "null")
        async with running(*watched, "--watch") as (terminal, process):
            await terminal.said("session.ready")
            assert await ask(far_end, "call_1") == "10"

            write(agent, AGENT.replace("You test.", "You test well."))
            await terminal.said("agent.yaml changed: prompt\n")
            await terminal.said("← session.updated", 2)

            write(agent, AGENT.replace("prompt:", "promt:"))
            await terminal.said("agent.yaml:3:1: error: unknown key `promt`")
            await terminal.said("= help: did you mean `prompt`?")
            await terminal.said("1 error: the call continues unchanged")
            assert await ask(far_end, "call_2") == "10"

            text = AGENT.replace("You test.", "You test well.")
            write(agent, text.replace("Hello", "Hi") + "local: {tts: joe}\n")
            await terminal.said("agent.yaml changed: greeting, local")
            await terminal.said("`local` takes effect with the next call")
            await terminal.said("the greeting cannot change in a running session")

            # As long and, it may be, as old as before: only its content is new.
            write(tools / "table.py", "PRICE = 20\n")
            await terminal.said("table.py changed: tools")
            assert await ask(far_end, "call_3") == "20"

            write(tools / "price.py", "def price(:\n")
            await terminal.said("`tools/price.py` is not valid Python: line 1")
            assert await ask(far_end, "call_4") == "20"

            write(tools / "price.py", "raise ValueError('closed')\n" + TOOL)
            await terminal.said("price.py:1: ValueError: closed")
            assert await ask(far_end, "call_5") == "20"

            write(tools / "price.py", TOOL.replace("+ 0", "+ 1"))
            await terminal.said("price.py changed: tools")
            assert await ask(far_end, "call_6") == "21"

            assert process.stdin is not None
            process.stdin.close()
            assert await terminal.ended() == 0

    assert "Traceback" not in terminal.out
    assert far_end.changes[1:] == [{"system_prompt": "You test well."}]


async def test_a_secret_that_an_edit_brings_is_not_shown(
    agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "sk-very-secret")
    http = """\
  - name: poll
    description: Looks.
    parameters: {type: object}
    http: {url: "https://example.com/", headers: {"X-Key": "${env:SHOP_TOKEN}"}}
"""
    async with service() as (far_end, url):
        watched = ("run", agent, "--service", url, "--text", "--output", "null")
        async with running(*watched, "--watch") as (terminal, process):
            await terminal.said("session.ready")
            write(agent, AGENT + http)
            await terminal.said("changed: tools")
            await terminal.said("← session.updated", 2)
            call = ToolCall("call_1", "price", {"token": "sk-very-secret"})
            await far_end.say(ReplyStarted("r1"), call, ReplyDone("r1"))
            await far_end.got("tool.result", "call_id", "call_1")
            assert process.stdin is not None
            process.stdin.close()
            assert await terminal.ended() == 0

    assert '{"token": "***"}' in terminal.out
    assert "sk-very-secret" not in terminal.out
