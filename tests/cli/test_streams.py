"""Output that is closed, full, or limited in its encoding; and signals of a call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses a POSIX shell")

RUN = f"{sys.executable} -m runner"
UNENCODABLE = "Hello \N{WAVING HAND SIGN} \N{CJK UNIFIED IDEOGRAPH-6771} →"


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    path = tmp_path / "agent.yaml"
    text = f"version: 1\nname: a\nprompt: Be brief. {UNENCODABLE}\n"
    path.write_text(f"{text}greeting: {UNENCODABLE}\n", "utf-8")
    return path


async def greet(connection: ServerConnection) -> None:
    """A service that says one reply and ends the session when it is asked to."""
    async for message in connection:
        if "session.update" in str(message):
            await connection.send('{"type":"session.updated","config":{}}')
            ready = '{"type":"session.ready","session_id":"s","config":{}}'
            await connection.send(ready)
            await connection.send('{"type":"reply.started","reply_id":"r"}')
            said = (
                f'{{"type":"transcript.agent","reply_id":"r","text":"{UNENCODABLE}"}}'
            )
            await connection.send(said)
            await connection.send('{"type":"reply.done","reply_id":"r"}')
        elif "session.end" in str(message):
            await connection.send('{"type":"session.ended"}')
            return


async def ignore(connection: ServerConnection) -> None:
    """A service that never answers."""
    async for _ in connection:
        pass


@contextlib.asynccontextmanager
async def service(*, silent: bool = False) -> AsyncIterator[str]:
    async with serve(ignore if silent else greet, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/ws"


async def shell(command: str, **environment: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    assert b"Traceback" not in out + err
    assert b"internal error" not in out + err
    return process.returncode, out.decode("latin-1"), err.decode("latin-1")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "latin-1"])
@pytest.mark.parametrize("view", ["--view wire", "--view plain", "--json", "--verbose"])
async def test_a_call_is_shown_with_escapes_where_the_encoding_lacks_a_character(
    agent: Path, encoding: str, view: str
) -> None:
    async with service() as url:
        code, out, _ = await shell(
            f"{RUN} run {agent} --service {url} --input text --output null {view}",
            PYTHONIOENCODING=encoding,
        )
    assert code == 0
    assert r"\u6771" in out
    assert "session" in out or view == "--view plain"


@pytest.mark.parametrize("command", ["show", "validate --strict"])
async def test_every_command_escapes_characters_that_the_encoding_lacks(
    agent: Path, command: str
) -> None:
    code, out, _ = await shell(f"{RUN} {command} {agent}", PYTHONIOENCODING="cp437")
    assert code in (0, 1)
    assert r"\u6771" in out


async def test_a_closed_stdout_or_stderr_changes_nothing_else(agent: Path) -> None:
    async with service() as url:
        run = f"{RUN} run {agent} --service {url} --input text --output null"
        assert (await shell(f"{run} >&-"))[0] == 0
        code, out, _ = await shell(f"{run} 2>&-")
    assert code == 0
    assert "session.ready" in out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
async def test_a_full_disk_does_not_end_the_call_and_is_exit_code_3(
    agent: Path,
) -> None:
    async with service() as url:
        run = f"{RUN} run {agent} --service {url} --input text --output null"
        code, _, err = await shell(f"{run} > /dev/full")
    assert code == 3
    assert "stdout: no space left on device; the call continues" in err
    assert "answers" in err  # its summary: the call came to its end


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("command", ["validate", "show", "--help; true"])
async def test_a_full_disk_is_one_sentence(agent: Path, command: str) -> None:
    _, _, err = await shell(f"{RUN} {command.replace(';', ' > /dev/full;')} {agent}")
    if ";" in command:
        assert err.startswith("vagent: no space left on device\n  hint: ")
        return
    code, _, err = await shell(f"{RUN} {command} {agent} > /dev/full")
    assert code == 3
    assert "vagent: no space left on device\n  hint: free space" in err


async def start(agent: Path, url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runner", "run", str(agent), "--service", url),
        *("--input", "none", "--output", "null", "--view", "wire"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"]


@pytest.mark.parametrize("name", SIGNALS)
async def test_a_signal_during_the_call_says_goodbye_to_the_service(
    agent: Path, name: str
) -> None:
    async with service() as url:
        process = await start(agent, url)
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while b"reply.done" not in await process.stdout.readline():
                pass
            process.send_signal(getattr(signal, name))
            out, err = await process.communicate()
    assert process.returncode == 0, err
    assert b"session.end" in out


# The service says nothing, and the goodbye waits for it: five seconds each.
@pytest.mark.slow
@pytest.mark.parametrize("name", SIGNALS)
async def test_a_signal_before_the_session_is_ready_is_not_exit_code_0(
    agent: Path, name: str
) -> None:
    number = getattr(signal, name)
    async with service(silent=True) as url:
        process = await start(agent, url)
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while b"session.update" not in await process.stdout.readline():
                pass
            process.send_signal(number)
            _, err = await process.communicate()
    assert process.returncode == 128 + number, err


async def test_no_command_passes_on_a_sequence_that_sets_the_title(
    tmp_path: Path,
) -> None:
    named = tmp_path / "a\x1b]0;t\x07\u202e.yaml"
    named.write_text("version: 1\n")
    for command in ("validate", "tools", "show", "run", "schema --write", "doctor"):
        _, out, err = await shell(f"{RUN} {command} '{named}' 2>&1")
        assert not {"\x1b", "\x07", "\u202e"} & set(out + err), command
