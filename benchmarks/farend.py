"""The service of the soak: a process of its own, faster than real time.

    python benchmarks/farend.py [DROP]

Prints its address, and leaves when its standard input closes. The session is the
server's own core; ears, mind and voice are a script that goes by the count of the
audio that arrives, so that as much audio goes out as comes in:

| every           | happens                                                          |
|-----------------|------------------------------------------------------------------|
| 40th message    | the caller speaks (and interrupts, if a reply is still spoken)   |
| 5 later         | the turn is over; each third turn first asks for a tool          |
| message         | twice 50 ms of the reply, while one is spoken                    |
| 3,000th (DROP)  | the line is reset; the client takes the session up again         |
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

sys.path.insert(0, str(Path(__file__).parents[1]))

from runner.protocol.codec import decode_client, encode
from runner.protocol.messages import InputAudio, SessionResume
from runner.protocol.server.events import (
    AudioChunk,
    ClauseStarted,
    Close,
    Disconnected,
    Received,
    ReplyFinished,
    Resumed,
    Send,
    ServerEvent,
    SpeechStarted,
    StartReply,
    StopReply,
    Tick,
    ToolCallRequested,
    TurnCommitted,
)
from runner.protocol.server.session import Phase, ServerSession

TURN = 40  # messages of audio from one turn of the caller to the next
SPEECH = 5
DROP = 3_000
CHUNK = bytes(2_400)  # 50 ms at 24 kHz


class Script:
    """One session and its mind; lives over several lines."""

    def __init__(self) -> None:
        self.session = ServerSession(lambda kind: f"{kind}_{uuid.uuid4().hex}")
        self._reply: str | None = None
        self._left = 0  # messages until the reply is over
        self.heard = 0
        self._turns = 0

    def feed(self, event: ServerEvent) -> tuple[list[str], int | None]:
        """Return what to send, and the code to close with, if any."""
        texts: list[str] = []
        code: int | None = None
        now = asyncio.get_running_loop().time()
        for action in self.session.feed(event, now):
            match action:
                case Send(message):
                    texts.append(encode(message))
                case StartReply(reply_id):
                    self._reply = reply_id
                    # Every fifth is too long, and is interrupted.
                    self._left = TURN if self._turns % 5 == 4 else TURN // 3
                case StopReply():
                    self._reply = None
                case Close(close_code):
                    code = close_code
        return texts, code

    def hear(self) -> list[str]:
        """Take 50 ms of the caller's audio, whatever is in it."""
        self.heard += 1
        events: list[ServerEvent] = [Tick()]
        if self.heard % TURN == 0:
            events.append(SpeechStarted())
        elif self.heard % TURN == SPEECH and self.heard > TURN:
            events.append(TurnCommitted("Where is it?"))
        texts = [text for event in events for text in self.feed(event)[0]]
        return texts + [text for event in self._speak() for text in self.feed(event)[0]]

    def _speak(self) -> list[ServerEvent]:
        reply = self._reply
        if reply is None:
            return []
        self._left -= 1
        if self._left > 0:
            opening: list[ServerEvent] = []
            if self._left % 20 == 10:
                opening.append(ClauseStarted(reply, "It is over here.", 1_000.0))
            return [*opening, AudioChunk(reply, CHUNK), AudioChunk(reply, CHUNK)]
        self._reply = None
        self._turns += 1
        if self._turns % 3 == 0:
            return [
                ToolCallRequested(reply, "look", {"at": "it"}),
                ReplyFinished(reply),
            ]
        return [ReplyFinished(reply)]


class FarEnd:
    """All scripts of the process, by session."""

    def __init__(self, drop: int) -> None:
        self._drop = drop
        self._scripts: dict[str, Script] = {}

    async def serve(self, connection: ServerConnection) -> None:
        script = Script()
        try:
            async for data in connection:
                message = decode_client(data)
                if isinstance(message, SessionResume):
                    script = self._scripts.pop(message.session_id, script)
                    texts, code = script.feed(Resumed())
                elif isinstance(message, InputAudio):
                    texts, code = script.hear(), None
                    if script.heard % self._drop == self._drop - 1:
                        connection.transport.abort()
                else:
                    texts, code = script.feed(Received(message))
                for text in texts:
                    await connection.send(text)
                if code is not None:
                    await connection.close(code)
        except ConnectionClosed:
            pass
        finally:
            script.feed(Disconnected())
            if script.session.phase is Phase.DROPPED:
                self._scripts[script.session.session_id] = script


async def main() -> None:
    loop = asyncio.get_running_loop()
    drop = int(sys.argv[1]) if len(sys.argv) > 1 else DROP
    async with serve(FarEnd(drop).serve, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"ws://127.0.0.1:{port}/", flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
