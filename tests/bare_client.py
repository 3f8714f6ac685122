"""A client written from the service's tutorial, without code of this project.

If it works with the local service, so does any other client written from the tutorial.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from typing import Any

import websockets


class BareClient:
    """One session: sends audio, runs tools and keeps the received events."""

    def __init__(self, tools: Mapping[str, Callable[..., Any]]) -> None:
        self.tools = tools
        self.session_id: str | None = None
        self.events: list[dict[str, Any]] = []
        self.speaker = bytearray()  # what has not been flushed
        self.agent_said: list[str] = []
        self.replies_done = 0
        self._pending_tools: list[dict[str, Any]] = []
        self._changed = asyncio.Condition()

    async def run(
        self,
        url: str,
        session: Mapping[str, Any],
        microphone: AsyncIterable[bytes],
    ) -> None:
        """Runs the call until the microphone ends."""
        async with websockets.connect(url) as ws:
            update = {"type": "session.update", "session": session}
            await ws.send(json.dumps(update))
            sending: asyncio.Task[None] | None = None
            async for text in ws:
                event = json.loads(text)
                await self._take(event, ws)
                if event["type"] == "session.ready":
                    sending = asyncio.create_task(self._send(ws, microphone))
            if sending is not None:
                await sending

    async def until(self, met: Callable[[BareClient], bool]) -> None:
        """Waits until a condition on the received events is met."""
        async with self._changed:
            await self._changed.wait_for(lambda: met(self))

    def types(self, *wanted: str) -> Sequence[str]:
        """Returns the types of the events so far, in order (only `wanted`)."""
        types = [event["type"] for event in self.events]
        return [t for t in types if not wanted or t in wanted]

    async def _send(self, ws: Any, microphone: AsyncIterable[bytes]) -> None:
        async for pcm in microphone:
            audio = base64.b64encode(pcm).decode()
            await ws.send(json.dumps({"type": "input.audio", "audio": audio}))
        await ws.close()

    async def _take(self, event: dict[str, Any], ws: Any) -> None:
        self.events.append(event)
        match event["type"]:
            case "session.ready":
                self.session_id = event["session_id"]
            case "reply.audio":
                self.speaker += base64.b64decode(event["data"])
            case "transcript.agent":
                self.agent_said.append(event["text"])
            case "tool.call":
                result = self.tools[event["name"]](**event["arguments"])
                pending = {"call_id": event["call_id"], "result": result}
                self._pending_tools.append(pending)
            case "reply.done":
                if event.get("status") == "interrupted":
                    self._pending_tools.clear()
                    self.speaker.clear()
                for tool in self._pending_tools:
                    result = json.dumps(tool["result"])
                    answer = {"type": "tool.result", "call_id": tool["call_id"]}
                    await ws.send(json.dumps({**answer, "result": result}))
                self._pending_tools.clear()
                self.replies_done += 1
        async with self._changed:
            self._changed.notify_all()
