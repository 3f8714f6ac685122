"""Runs `vagent` as a process and serves it with a minimal service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from runner.protocol.codec import encode
from runner.protocol.messages import (
    Message,
    ReplyDone,
    ReplyStarted,
    SessionEnded,
    SessionReady,
    SessionUpdated,
)


class Terminal:
    """A running command; `out` is its output so far on stdout and stderr."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.out = ""
        self._process = process
        self._grown = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def said(self, text: str, count: int = 1) -> None:
        """Waits until the output contains a text `count` times."""
        try:
            async with asyncio.timeout(30), self._grown:
                await self._grown.wait_for(lambda: self.out.count(text) >= count)
        except TimeoutError:
            raise AssertionError(f"never said {text!r}:\n{self.out}") from None

    async def ended(self) -> int:
        """Waits for the end of the process and its output; returns the exit code."""
        async with asyncio.timeout(30):
            code = await self._process.wait()
            await self._reading
        return code

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while data := await self._process.stdout.read(4096):
            async with self._grown:
                self.out += data.decode()
                self._grown.notify_all()


@contextlib.asynccontextmanager
async def running(
    *arguments: str | Path, stdin: int = subprocess.PIPE, folder: Path | None = None
) -> AsyncIterator[tuple[Terminal, asyncio.subprocess.Process]]:
    """Runs `vagent` with these arguments in `folder`; kills it on exit if it runs."""
    names = ("ASSEMBLYAI_API_KEY", "VAGENT_SERVICE_KEY")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "runner",
        *map(str, arguments),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if name not in names},
            "PYTHONIOENCODING": "utf-8",
            "PYTHONPATH": os.getcwd(),  # the process may run in another folder
        },
    )
    terminal = Terminal(process)
    try:
        yield terminal, process
    finally:
        if process.returncode is None:
            process.kill()
        await terminal.ended()


class Service:
    """A minimal service: accepts every change and starts an empty reply when asked."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.connection: ServerConnection | None = None
        self._grown = asyncio.Condition()

    async def got(self, kind: str, key: str, value: str) -> dict[str, Any]:
        """Waits for a message of a type with this value and returns it."""

        def found() -> list[dict[str, Any]]:
            return [
                each
                for each in self.heard
                if each["type"] == kind and each[key] == value
            ]

        async with asyncio.timeout(30), self._grown:
            await self._grown.wait_for(found)
        return found()[0]

    async def say(self, *messages: Message) -> None:
        """Sends messages to the client."""
        assert self.connection is not None
        for message in messages:
            await self.connection.send(encode(message))

    @property
    def changes(self) -> list[dict[str, Any]]:
        """The session objects of the updates so far."""
        updates = [each for each in self.heard if each["type"] == "session.update"]
        return [each["session"] for each in updates]

    async def serve(self, connection: ServerConnection) -> None:
        """Serves one session."""
        self.connection = connection
        with contextlib.suppress(ConnectionClosed):  # a test that failed
            async for text in connection:
                await self._hear(json.loads(text))

    async def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "input.audio":
            return
        async with self._grown:
            self.heard.append(message)
            self._grown.notify_all()
        match message["type"]:
            case "session.update":
                await self.say(SessionUpdated())
                if len(self.changes) == 1:
                    await self.say(SessionReady("sess_1"))
            case "reply.create" | "tool.result":
                await self.say(ReplyStarted("r"), ReplyDone("r"))
            case "session.end":
                await self.say(SessionEnded(1.0))


@contextlib.asynccontextmanager
async def service() -> AsyncIterator[tuple[Service, str]]:
    """Serves on a free port; yields the service and its address."""
    served = Service()
    async with serve(served.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield served, f"ws://127.0.0.1:{port}/v1/ws"
