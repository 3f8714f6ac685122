"""`vagent run --record` as a process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from runner.protocol.client.actions import Close
from runner.protocol.client.events import Received
from runner.protocol.codec import encode
from runner.protocol.messages import (
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionEnded,
    SessionReady,
    SessionUpdated,
    ToolCall,
    TranscriptAgent,
)
from runner.recording.call_log import read_calls
from runner.recording.reader import find_recordings, read_recording
from tests.cli.test_run import Finished, service, vagent
from tests.recording.calls import RATE, noise, read_wav

SECRET = 'quoted "and"\nbroken key'
HEADER = "literal-header-value-42"
AGENT = """\
version: 1
name: tester
prompt: You test.
local:
  llm: {url: http://127.0.0.1:9/v1, model: none, key: "${env:TEST_TOKEN}"}
tools:
  - python: tool.py:echo
  - name: look
    description: Looks.
    http:
      url: http://127.0.0.1:9/
      headers: {X-Api-Key: literal-header-value-42}
"""
TOOL = '''\
import os

def echo(text: str) -> dict:
    """Say what it knows.

    Args:
        text: Anything.
    """
    return {"text": text, "known": os.environ["TEST_TOKEN"]}
'''
SOUND = noise(RATE // 2, 5)


async def talking_service(connection: ServerConnection) -> None:
    """Calls a tool, speaks for a quarter of a second, and ends."""
    async for text in connection:
        match json.loads(text)["type"]:
            case "session.update":
                ready = SessionReady("sess_1", resume_token="a-token-that-is-a-key")
                for message in (
                    SessionUpdated(),
                    ready,
                    ReplyStarted("reply_1"),
                    ToolCall("call_1", "echo", {"text": f"order 4711 {SECRET}"}),
                    ReplyAudio(SOUND, "reply_1"),
                    TranscriptAgent("Your order 4711 is here.", "reply_1"),
                    ReplyDone("reply_1"),
                ):
                    await connection.send(encode(message))
            case "tool.result":
                await connection.send(encode(SessionEnded(1.0)))
                return


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    (tmp_path / "tool.py").write_text(TOOL, "utf-8")
    path = tmp_path / "agent.yaml"
    path.write_text(AGENT, "utf-8")
    return path


async def run(agent: Path, *more: str) -> Finished:
    async with service(talking_service) as url:
        return await vagent(
            *("run", agent, "--service", f"{url}?token=key-in-the-address"),
            *("--input", "none", "--output", "null", *more),
            environment={"TEST_TOKEN": SECRET, "VAGENT_SERVICE_KEY": "key-of-service"},
            cwd=agent.parent,
        )


async def test_a_recording_is_complete_but_has_no_secrets(agent: Path) -> None:
    done = await run(agent, "--record", "kept", "--json")

    assert done.code == 0, done
    (folder,) = find_recordings([agent.parent / "kept"])
    lines = [json.loads(line) for line in done.out.splitlines()]
    (told,) = [line for line in lines if line["type"] == "vagent.recording"]
    assert agent.parent / told["folder"] == folder
    assert folder.name.endswith("-tester")

    recording = read_recording(folder)
    assert (recording.is_complete, recording.skipped) == (True, 0)
    wire = [line["type"] for line in lines if line.get("direction") == "received"]
    assert [
        each.message.TYPE for _, each in recording.entries if isinstance(each, Received)
    ] == [each for each in wire if each != "reply.audio"]
    assert any(isinstance(each, Close) for _, each in recording.entries)
    (call,) = read_calls(folder)
    assert (call.name, call.is_error, call.cancelled) == ("echo", False, False)
    assert SOUND in read_wav(folder / "agent.wav")
    assert len(read_wav(folder / "both.wav")) == 2 * len(
        read_wav(folder / "caller.wav")
    )

    text = "\n".join(each.read_text("utf-8") for each in folder.glob("*.[jy]*"))
    for secret in (
        *(SECRET, json.dumps(SECRET)[1:-1], "broken key", HEADER, "key-of-service"),
        *("a-token-that-is-a-key", "key-in-the-address"),
    ):
        assert secret not in text, secret
    assert "4711" in text


async def test_a_redacted_recording_has_no_audio_and_no_digits(agent: Path) -> None:
    (agent.parent / "vagent.toml").write_text('record = "calls"')

    done = await run(agent, "--redact")

    assert done.code == 0, done
    (folder,) = find_recordings([agent.parent / "calls"])
    assert f"recorded in {folder}" in done.err
    assert not list(folder.glob("*.wav"))
    assert "4711" not in "".join(each.read_text("utf-8") for each in folder.iterdir())
    assert "Your order #### is here." in (folder / "session.jsonl").read_text("utf-8")


async def test_an_unwritable_recording_fails_before_the_call(agent: Path) -> None:
    done = await run(agent, "--record", "agent.yaml")

    done.is_one_clear_failure(3, "the call cannot be recorded in 'agent.yaml'")


async def test_record_and_no_record_contradict_each_other(agent: Path) -> None:
    done = await run(agent, "--record", "kept", "--no-record")

    done.is_one_clear_failure(2, "--no-record contradicts")
    assert not (agent.parent / "kept").exists()
