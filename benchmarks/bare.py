"""The bare client of `sessions.py`: what one writes from the tutorial, and no more.

websockets, json and base64; one loop that receives, one that sends. It knows nothing of
half-open lines, slow uploads, unknown messages, records or a state: this is the floor
that an engine is compared with.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from runner.audio.devices import Microphone, Speaker


class BareClient:
    """One session with a service."""

    def __init__(
        self,
        url: str,
        microphone: Microphone,
        speaker: Speaker,
        on_interrupted: Callable[[float], None],
    ) -> None:
        self.url = url
        self.microphone = microphone
        self.speaker = speaker
        self.on_interrupted = on_interrupted
        self.session_id: str | None = None
        self.tools: dict[str, Callable[..., Any]] = {}
        self.live, self.interrupted = asyncio.Event(), asyncio.Event()
        self._pending_tools: list[dict[str, Any]] = []
        self._sending: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Hold the call until the connection is closed."""
        async with connect(self.url, proxy=None) as ws:
            self.ws = ws
            session = {"system_prompt": "Be brief.", "tools": []}
            await ws.send(json.dumps({"type": "session.update", "session": session}))
            async for text in ws:
                await self.receive(ws, json.loads(text))
        if self._sending is not None:
            self._sending.cancel()

    async def send(self, ws: ClientConnection) -> None:
        async for pcm in self.microphone.frames():
            audio = base64.b64encode(pcm).decode()
            await ws.send(json.dumps({"type": "input.audio", "audio": audio}))

    async def receive(self, ws: ClientConnection, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.ready":
                self.session_id = event["session_id"]
                self.live.set()
                self._sending = asyncio.create_task(self.send(ws))
            case "reply.audio":
                self.speaker.play(base64.b64decode(event["data"]))
            case "input.speech.started":
                self.speaker.stop()
                self.on_interrupted(event["timestamp"])
            case "tool.call":
                result = self.tools[event["name"]](**event["arguments"])
                self._pending_tools.append({"id": event["call_id"], "result": result})
            case "reply.done":
                if event.get("status") == "interrupted":
                    self._pending_tools.clear()
                    self.interrupted.set()
                for tool in self._pending_tools:
                    result = json.dumps(tool["result"])
                    answer = {"type": "tool.result", "call_id": tool["id"]}
                    await ws.send(json.dumps({**answer, "result": result}))
                self._pending_tools.clear()

    async def hang_up(self) -> None:
        """End the session politely."""
        await self.ws.send(json.dumps({"type": "session.end"}))
        await self.ws.close()
