"""`vagent run` as a process: its output and exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from runner.protocol.codec import encode
from runner.protocol.messages import (
    SessionEnded,
    SessionError,
    SessionReady,
    SessionUpdated,
)

AGENT = """\
version: 1
name: tester
prompt: You test.
"""

Behavior = Callable[[ServerConnection], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Finished:
    code: int
    out: str
    err: str

    def is_one_clear_failure(self, code: int, words: str) -> None:
        """Checks the common form of a failure, and its text."""
        assert self.code == code, self
        assert words in self.err
        assert "Traceback" not in self.out + self.err
        assert "internal error" not in self.err


async def vagent(
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    cwd: Path | None = None,
) -> Finished:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("ASSEMBLYAI_API_KEY", "VAGENT_SERVICE_KEY")
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "runner",
        *map(str, arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**inherited, **(environment or {})},
        cwd=cwd,
    )
    try:
        async with asyncio.timeout(60):
            out, err = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return Finished(process.returncode, out.decode(), err.decode())


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    path = tmp_path / "agent.yaml"
    path.write_text(AGENT, "utf-8")
    return path


@contextlib.asynccontextmanager
async def service(behavior: Behavior) -> AsyncIterator[str]:
    async with serve(behavior, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/ws"


async def run(agent: Path, url: str, *more: str) -> Finished:
    return await vagent(
        "run", agent, "--service", url, "--input", "none", "--output", "null", *more
    )


async def good_service(connection: ServerConnection) -> None:
    """A service with nothing to say that follows the protocol."""
    async for text in connection:
        match json.loads(text)["type"]:
            case "session.update":
                await connection.send(encode(SessionUpdated()))
                await connection.send(encode(SessionReady("sess_1")))
            case "session.end":
                await connection.send(encode(SessionEnded(1.0)))
                return


async def test_a_call_with_a_silent_service_ends_by_itself_with_0(agent: Path) -> None:
    async with service(good_service) as url:
        done = await run(agent, url)

    assert done.code == 0, done
    assert done.out.splitlines() == [
        "→ session.update (prompt of 9 characters)",
        "← session.updated",
        "← session.ready (sess_1)",
        "→ session.end",
        "← session.ended (1.0 s)",
    ]


async def test_json_lines_are_objects_with_types_and_directions(agent: Path) -> None:
    async with service(good_service) as url:
        done = await run(agent, url, "--json")

    lines = [json.loads(line) for line in done.out.splitlines()]
    wire = [line for line in lines if not line["type"].startswith("vagent.")]
    own = {line["type"] for line in lines if line["type"].startswith("vagent.")}
    assert {"vagent.notice", "vagent.closed", "vagent.summary"} <= own
    assert [line["type"] for line in wire if line["direction"] == "received"] == [
        "session.updated",
        "session.ready",
        "session.ended",
    ]
    sound = [line for line in wire if line["type"] == "input.audio"]
    assert sound
    assert all(line["ms"] == 50 and "audio" not in line for line in sound)
    counters = lines[-1]["counters"]
    assert counters["messages_sent"] == len(sound) + 2
    assert counters["audio_sent_seconds"] == pytest.approx(len(sound) * 0.05)
    assert (counters["messages_received"], counters["connection_drops"]) == (3, 0)


# ------------------------------------------------- faulty services


async def refuses_the_key(connection: ServerConnection) -> None:
    await connection.send(encode(SessionError("unauthorized", "Authentication failed")))
    await connection.close(1008)


async def refuses_the_voice(connection: ServerConnection) -> None:
    await connection.recv()
    await connection.send(encode(SessionError("invalid_value", "Invalid voice 'ivy'")))
    await connection.close(1008)


async def closes_1008(connection: ServerConnection) -> None:
    await connection.recv()
    await connection.close(1008, "policy")


async def floods(connection: ServerConnection) -> None:
    await connection.recv()
    await connection.send(encode(SessionReady("sess_1")))
    await connection.send('{"type":"reply.audio","data":"' + "A" * 5_000_000 + '"}')
    await connection.wait_closed()


@pytest.mark.parametrize(
    ("behavior", "code", "words"),
    [
        (refuses_the_key, 4, "the service does not accept the key"),
        (refuses_the_voice, 3, "Invalid voice 'ivy'"),
        (closes_1008, 3, "the service closed the connection (1008: policy)"),
        (floods, 3, "too large"),
    ],
)
async def test_a_refusal_of_the_service_is_one_sentence(
    agent: Path, behavior: Behavior, code: int, words: str
) -> None:
    async with service(behavior) as url:
        done = await run(agent, url)

    done.is_one_clear_failure(code, words)


async def test_an_address_without_a_server_fails_at_once(agent: Path) -> None:
    async with service(good_service) as url:
        pass  # the port was free, and is free again

    (await run(agent, url)).is_one_clear_failure(3, f"cannot reach {url}")


async def test_without_a_network_the_hint_of_assemblyai_is_about_the_network(
    agent: Path,
) -> None:
    async with service(good_service) as url:
        closed = url.replace("ws://", "http://")  # no proxy is there any more
    environment = {"ASSEMBLYAI_API_KEY": "a" * 32, "HTTPS_PROXY": closed}

    done = await vagent(
        *("run", agent, "--text", "--output", "null"), environment=environment
    )

    done.is_one_clear_failure(3, "cannot reach wss://agents.assemblyai.com")
    assert "hint: check the network and the proxy" in done.err
    assert "--service local" in done.err
    assert "0 answers" not in done.err


async def test_a_web_server_is_not_a_service(agent: Path) -> None:
    async def not_found(
        connection: ServerConnection, request: Request
    ) -> Response | None:
        return connection.respond(404, "nothing here")

    async with serve(good_service, "127.0.0.1", 0, process_request=not_found) as server:
        port = server.sockets[0].getsockname()[1]
        done = await run(agent, f"ws://127.0.0.1:{port}/")

    done.is_one_clear_failure(3, "answered HTTP 404")


async def test_something_that_does_not_speak_http_is_not_a_service(
    agent: Path,
) -> None:
    async def babble(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        done = await run(agent, f"ws://127.0.0.1:{port}/")

    done.is_one_clear_failure(3, "cannot reach ws://127.0.0.1")


async def test_garbage_and_broken_messages_are_reported_and_survived(
    agent: Path,
) -> None:
    async def babbles(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send("{")
        await connection.send('{"type":"reply.audio"}')
        await connection.send('{"type":"brand.new","x":1}')
        await connection.send(encode(SessionReady("sess_1")))
        async for text in connection:
            if json.loads(text)["type"] == "session.end":
                await connection.send(encode(SessionEnded(1.0)))
                return

    async with service(babbles) as url:
        done = await run(agent, url)

    assert done.code == 0, done
    assert "unreadable: Invalid JSON format." in done.err
    assert "reply.audio: 'data' is missing" in done.err
    assert "← brand.new (unknown to this version)" in done.out


async def test_a_dropped_connection_is_resumed(agent: Path) -> None:
    firsts: list[str] = []

    async def drops_once(connection: ServerConnection) -> None:
        first = json.loads(await connection.recv())["type"]
        firsts.append(first)
        await connection.send(encode(SessionReady("sess_1", resume_token="token_1")))
        if first == "session.update":
            connection.transport.abort()
            return
        async for text in connection:
            if json.loads(text)["type"] == "session.end":
                await connection.send(encode(SessionEnded(1.0)))
                return

    async with service(drops_once) as url:
        done = await run(agent, url)

    assert done.code == 0, done
    assert firsts == ["session.update", "session.resume"]
    assert "* the line was lost, reconnecting…\n* back after" in done.err
    assert "\nconnection lost once for " in done.err


# ---------------------------------------------------------- wrong usage


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--service", "assemblyai"], 4, "ASSEMBLYAI_API_KEY is not set"),
        (["--service", "ftp://x"], 2, "'ftp://x' is not a service"),
        (["--var", "company"], 2, "invalid --var 'company'"),
        (["--var", "nobody=1"], 2, "nobody"),
        (["--text", "--input", "mic"], 2, "contradict"),
        (["--quiet", "--verbose"], 2, "contradict"),
        (["--say", "hi", "--input", "mic"], 2, "--say"),
        (["--max-duration", "soon"], 2, "--max-duration 'soon'"),
        (["--input", "nothing.wav"], 3, "nothing.wav"),
        (["--no-such-option"], 2, "--no-such-option"),
    ],
)
async def test_wrong_options_fail_before_the_call(
    agent: Path, arguments: list[str], code: int, words: str
) -> None:
    done = await vagent("run", agent, "--output", "null", *arguments)

    done.is_one_clear_failure(code, words)


async def test_an_invalid_audio_file_is_reported(agent: Path, tmp_path: Path) -> None:
    sound = tmp_path / "sound.wav"
    sound.write_text("no sound at all")

    done = await vagent("run", agent, "--input", sound, "--output", "null")

    done.is_one_clear_failure(3, "sound.wav")


async def test_an_unwritable_output_fails_before_the_call(
    agent: Path, tmp_path: Path
) -> None:
    done = await vagent(
        "run", agent, "--input", "none", "--output", tmp_path / "no" / "such" / "a.wav"
    )

    done.is_one_clear_failure(3, "a.wav")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "agent.yaml:1:1: error: "),
        (b"version: 1\nname: x\nprompt: [unclosed\n", "agent.yaml:"),
        (b"\x00\x01\x02\xff", "agent.yaml:1:4: error: "),
        ("version: 1\nname: \u00fc\n".encode("latin-1"), "agent.yaml:2:7: error: "),
        (b"x" * 3_000_000, "agent.yaml"),
        (b"a: &a [x,x]\nb: &b [*a,*a]\n" + b"c: [" + b"*b," * 40 + b"]\n", "error: "),
        (b"version: 1\nname: x\nprompt: p\ngreting: hi\n", "agent.yaml:4:1: error: "),
    ],
)
async def test_findings_of_an_agent_file_have_their_position(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "agent.yaml"
    path.write_bytes(content)

    done = await vagent("run", path)

    assert done.code in (1, 3)  # findings, or an unreadable file
    done.is_one_clear_failure(done.code, words)


async def test_a_folder_and_a_missing_file_are_not_agents(tmp_path: Path) -> None:
    (await vagent("run", tmp_path)).is_one_clear_failure(2, str(tmp_path))
    missing = tmp_path / "missing.yaml"
    (await vagent("run", missing)).is_one_clear_failure(3, "missing.yaml")


# ------------------------------------------------------------- files and pipes


async def test_the_recording_is_as_long_as_the_call(
    agent: Path, tmp_path: Path
) -> None:
    recording = tmp_path / "call.wav"
    async with service(good_service) as url:
        done = await vagent(
            "run", agent, "--service", url, "--input", "none", "--output", recording
        )

    assert done.code == 0, done
    with wave.open(str(recording)) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (24_000, 1)
        assert sound.getnframes() > 24_000


async def test_an_output_file_is_named_at_the_end_and_overwritten_only_with_force(
    agent: Path, tmp_path: Path
) -> None:
    recording = tmp_path / "call.flac"
    recording.write_bytes(b"mine")
    async with service(good_service) as url:
        call = ("run", agent, "--service", url, "--input", "none", "--view", "plain")
        refused = await vagent(*call, "--output", recording, stdin=b"")
        kept = recording.read_bytes()
        done = await vagent(*call, "--output", recording, "--force")

    assert refused.code == 2, refused
    assert f"'{recording}' exists already" in refused.err
    assert "--force" in refused.err
    assert kept == b"mine"
    assert done.code == 0, done
    assert f"the agent's audio is in '{recording}'" in done.out + done.err
    assert recording.read_bytes()[:4] == b"fLaC"


async def test_an_output_file_without_a_format_is_refused(
    agent: Path, tmp_path: Path
) -> None:
    recording = tmp_path / "call.txt"

    done = await vagent("run", agent, "--input", "none", "--output", recording)

    assert done.code == 3, done
    assert "'.txt' is not an audio format" in done.err
    assert not recording.exists()


async def test_a_closed_pipe_ends_the_call_with_141(agent: Path) -> None:
    async with service(good_service) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "runner",
            "run",
            str(agent),
            "--service",
            url,
            "--input",
            "text",
            "--output",
            "null",
            "--json",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        await process.stdout.readline()
        process.stdout._transport.close()  # type: ignore[attr-defined]  # the only way to close a pipe's reading end early
        async with asyncio.timeout(30):
            code = await process.wait()
            assert process.stderr is not None
            err = (await process.stderr.read()).decode()

    assert code == 141, err
    assert "Traceback" not in err


async def test_a_closed_stdin_is_the_end_of_the_typed_input(agent: Path) -> None:
    async with service(good_service) as url:
        done = await vagent(
            "run", agent, "--service", url, "--text", "--output", "null", stdin=b""
        )

    assert done.code == 0, done


async def test_the_key_is_sent_and_never_shown(agent: Path) -> None:
    keys: list[str | None] = []

    async def notes_the_key(connection: ServerConnection) -> None:
        assert connection.request is not None
        keys.append(connection.request.headers.get("Authorization"))
        await connection.send(encode(SessionError("x", "your key is sk-secret-123")))
        await good_service(connection)

    async with service(notes_the_key) as url:
        done = await vagent(
            "run",
            agent,
            "--service",
            url,
            "--input",
            "none",
            "--output",
            "null",
            "--verbose",
            environment={"VAGENT_SERVICE_KEY": "sk-secret-123"},
        )

    assert keys == ["Bearer sk-secret-123"]
    assert "sk-secret-123" not in done.out + done.err
    assert "your key is ***" in done.out
