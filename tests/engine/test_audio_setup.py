"""Who speaks at the near end: lines of a pipe in turn, a person at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.audio.virtual import MixedMicrophone
from runner.engine.audio_setup import LocalEndpoint
from runner.engine.caller import ScriptedCaller
from runner.engine.controls import Controls
from runner.engine.engine import Engine
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.session import ClientSession
from runner.protocol.messages import SessionEnded, SessionReady, ToolCall
from tests.fakes import FakeDialer, FakeMicrophone, FakeSpeaker, FakeTransport, Outcome
from tests.terminal import running, service

AGENT = "version: 1\nname: tester\nprompt: You test.\nlocal: {tts: none.onnx}\n"


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
        "* unknown command '/quit'",
        "you ended the call.",
    ]
    places = [terminal.out.index(each) for each in order]
    assert places == sorted(places)
    assert "list the commands" not in terminal.out
    assert "type to speak" not in terminal.out, "nobody is there to be told"


@pytest.fixture
def terminal_ends() -> Iterator[tuple[int, int]]:
    """Yield both ends of a terminal: where a person types, and where it is read."""
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo-terminals")
    ours, theirs = os.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


async def test_lines_typed_at_a_terminal_are_acted_on_at_once(
    agent: Path, terminal_ends: tuple[int, int]
) -> None:
    ours, theirs = terminal_ends
    async with service() as (far_end, url):
        arguments = ("run", agent, "--service", url, "--text", "--output", "null")
        async with running(*arguments, stdin=theirs) as (terminal, _):
            await terminal.said("type to speak, /end hangs up, /help lists commands")
            await terminal.said("session.ready")
            os.write(ours, b"/help\n")
            await terminal.said("/volume 0-100")
            os.write(ours, b"/mut\n")
            await terminal.said("did you mean /mute?")
            os.write(ours, b"/volume 40\n")
            await terminal.said("← session.updated", 2)
            os.write(ours, b"/end\n")
            assert await terminal.ended() == 0

    assert far_end.changes[1:] == [{"output": {"volume": 40}}]
    assert far_end.heard[-1] == {"type": "session.end"}


@dataclass(frozen=True, slots=True)
class AtMicrophone:
    """A call by microphone in which a person types."""

    engine: Engine
    wire: FakeTransport
    said: asyncio.Queue[str]
    notices: list[str]
    ended: asyncio.Task[object]


@contextlib.asynccontextmanager
async def at_the_microphone() -> AsyncIterator[AtMicrophone]:
    wire, speaker = FakeTransport(), FakeSpeaker()
    microphone = MixedMicrophone(FakeMicrophone())
    said: asyncio.Queue[str] = asyncio.Queue()
    notices: list[str] = []

    async def never(call: ToolCall) -> Outcome:
        raise AssertionError(call)

    engine = Engine(
        ClientSession(ClientConfig()),
        FakeDialer(wire),
        microphone=microphone,
        speaker=speaker,
        run_tool=never,
    )
    caller = ScriptedCaller(engine, speaker, said.put, notices.append)
    controls = Controls(engine, notices.append, {})
    driving = asyncio.create_task(
        LocalEndpoint("mic", microphone, speaker).drive(caller, controls)
    )
    ended = asyncio.create_task(engine.run())
    await wire.heard("session.update")
    wire.peer_says(SessionReady("s"))
    yield AtMicrophone(engine, wire, said, notices, ended)
    driving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await driving


async def test_a_person_at_the_microphone_types_words_and_commands(
    terminal_ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = terminal_ends
    with os.fdopen(os.dup(theirs), encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        async with at_the_microphone() as call, asyncio.timeout(10):
            os.write(ours, b"hello\n/mute\n/say /etc/hosts\n")

            assert await call.said.get() == "hello"
            assert await call.said.get() == "/etc/hosts"
            assert call.engine.is_muted
            assert (
                call.notices[0] == "type to speak, /end hangs up, /help lists commands"
            )
            os.write(ours, b"/end\n")
            await call.wire.heard("session.end")
            call.wire.peer_says(SessionEnded(1.0))
            await call.ended
        os.write(ours, b"\x04")  # the end of the input: the keyboard's thread ends
