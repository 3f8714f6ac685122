"""Who speaks at the near end: lines of a pipe in turn, a person at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.terminal import running, service

AGENT = "version: 1\nname: tester\nprompt: You test.\nlocal: {voice: none.onnx}\n"


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    path = tmp_path / "agent.yaml"
    path.write_text(AGENT, "utf-8")
    return path


async def test_commands_in_a_pipe_are_obeyed_and_nothing_follows_the_end(
    agent: Path,
) -> None:
    async with service() as (far_end, url):
        arguments = ("run", agent, "--service", url, "--text", "--output", "null")
        async with running(*arguments) as (terminal, process):
            assert process.stdin is not None
            process.stdin.write(b"/mute\n/volume 40\n/quit\n/end\n/help\n")
            await process.stdin.drain()
            assert await terminal.ended() == 0

    assert far_end.changes[-1]["output"] == {"volume": 40}
    order = [
        "* muted: ",
        "* volume 40",
        "* there is no command '/quit'",
        "everything has been said.",
    ]
    places = [terminal.out.index(each) for each in order]
    assert places == sorted(places)
    assert "list the commands" not in terminal.out
    assert "type to speak" not in terminal.out, "nobody is there to be told"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
async def test_a_person_at_a_terminal_is_told_and_obeyed_at_once(agent: Path) -> None:
    ours, theirs = os.openpty()
    try:
        async with service() as (far_end, url):
            arguments = ("run", agent, "--service", url, "--text", "--output", "null")
            async with running(*arguments, stdin=theirs) as (terminal, _):
                await terminal.said("type to speak, /help lists commands")
                await terminal.said("session.ready")
                os.write(ours, b"/help\n")
                await terminal.said("/volume 0-100")
                os.write(ours, b"/mut\n")
                await terminal.said("did you mean /mute?")
                os.write(ours, b"/volume 40\n")
                await terminal.said("← session.updated", 2)
                os.write(ours, b"/end\n")
                assert await terminal.ended() == 0
    finally:
        os.close(ours)
        os.close(theirs)

    assert far_end.changes[1:] == [{"output": {"volume": 40}}]
    assert far_end.heard[-1] == {"type": "session.end"}
