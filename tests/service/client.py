"""A client of the wire for tests: JSON over a real WebSocket."""

from __future__ import annotations

import base64
import json
from typing import Any

from websockets.asyncio.client import ClientConnection


class Client:
    """A connection that reads and writes JSON and keeps what it read."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def read(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.socket.recv())
        self.seen.append(message)
        return message

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        while True:
            message = await self.read()
            if message["type"] == kind and fields.items() <= message.items():
                return message

    async def open(self, **session: Any) -> dict[str, Any]:
        await self.send("session.update", session=session)
        return await self.until("session.ready")

    async def say(self, pcm: bytes) -> None:
        for start in range(0, len(pcm), 4_800):
            audio = base64.b64encode(pcm[start : start + 4_800]).decode()
            await self.send("input.audio", audio=audio)

    async def closed(self) -> int | None:
        await self.socket.wait_closed()
        return self.socket.close_code

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.seen]
