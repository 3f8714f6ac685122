"""Drives one `ServerSession`: one inbox, one pump, actions performed synchronously.

A conversation outlives its connection: after a drop it continues for the grace period,
within which a new connection can resume it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, assert_never

from runner.errors import SpeechError
from runner.protocol.codec import encode
from runner.protocol.messages import (
    JsonObject,
    ReplyAudio,
    ServerMessage,
    SessionUpdated,
)
from runner.protocol.server.config import Settings
from runner.protocol.server.events import (
    AppendHistory,
    Close,
    Configure,
    Disconnected,
    FeedAudio,
    RemoveFromHistory,
    Resumed,
    Send,
    ServerAction,
    ServerEvent,
    StartReply,
    StopReply,
    Tick,
)
from runner.protocol.server.session import Phase, ServerSession
from runner.protocol.server.turn_taking import MakeId
from runner.service.recognition import SpeechPipeline
from runner.service.responses import Responder, SpeechSynthesizer
from runner.service.workers import Workers
from runner.speech.interfaces import AgentContext, SpeechStack

# Receives the type and the fields of a log event.
Report = Callable[[str, Mapping[str, Any]], None]


class ClientConnection(Protocol):
    """A connection to the client; both methods return at once."""

    has_session: bool  # True while a configured session uses the connection

    def send(self, message: str) -> None: ...

    def close(self, code: int) -> None:
        """Closes the connection after the messages sent before."""
        ...


def make_id(kind: str) -> str:
    """Returns a new random ID in the format of the service."""
    return f"{kind}_{uuid.uuid4().hex}"


@dataclass(frozen=True, slots=True)
class ServerContext:
    """Components and settings shared by all conversations of one server."""

    speech: SpeechStack
    workers: Workers
    synthesizer: SpeechSynthesizer
    report: Report
    make_id: MakeId = make_id
    # Offset from the clock of the loop to seconds since 1970; None: the current one.
    epoch: float | None = None
    chunk_ms: float | None = None  # of audio in one message; None: as the service
    voices: tuple[str, ...] = ()  # accepted in addition to those of the service
    # Returns the `session` object of a stored agent.
    find_agent: Callable[[str], JsonObject | None] = lambda agent_id: None

    def current_epoch(self) -> float:
        """Returns `epoch`, or the current offset. Call on the event loop."""
        if self.epoch is not None:
            return self.epoch
        return time.time() - asyncio.get_running_loop().time()


class Conversation:
    """One session with its speech components; runs as a task."""

    def __init__(self, context: ServerContext) -> None:
        self.session = ServerSession(
            context.make_id,
            epoch=context.current_epoch(),
            voices=context.voices,
            find_agent=context.find_agent,
        )
        self._context = context
        self._inbox: asyncio.Queue[ServerEvent] = asyncio.Queue()
        self._responder = Responder(
            context.speech, context.workers, context.synthesizer, context.chunk_ms
        )
        self._pipeline = SpeechPipeline(
            context.speech, context.workers, self, self._warn
        )
        self._log = SessionLog(context.report, self.session.session_id)
        self._connection: ClientConnection | None = None
        # Replaces `_connection` when `Resumed` is processed.
        self._next_connection: ClientConnection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._config_size = 0
        self.cpu_seconds = 0.0  # of the event loop, for all events so far

    @property
    def is_connected(self) -> bool:
        """True if a connection uses the session, or is about to."""
        return self._connection is not None or self._next_connection is not None

    @property
    def size(self) -> int:
        """Characters of the prompt, the tools and the history."""
        return self._config_size + self._responder.history_size

    @property
    def agent_is_speaking(self) -> bool:
        """True while audio of the agent plays."""
        return self._responder.is_playing

    @property
    def is_interruptible(self) -> bool:
        """True if the caller may start a turn now."""
        return self.session.is_interruptible

    def post(self, event: ServerEvent) -> None:
        """Adds an event to the inbox. Call on the event loop."""
        self._inbox.put_nowait(event)

    def speculate(self, text: str) -> None:
        """Starts a reply to `text`, which may be the caller's complete turn."""
        self._responder.speculate(text)

    def cancel_speculation(self) -> None:
        """Discards the speculative reply: the caller continues."""
        self._responder.cancel_speculation()

    def mark_turn_end(self, silence_seconds: float) -> None:
        """Notes for the session log when the caller stopped speaking."""
        self._log.end_turn(silence_seconds)

    def attach(self, connection: ClientConnection) -> None:
        """Sends over this connection from now on."""
        self._connection = connection

    def resume(self, connection: ClientConnection) -> None:
        """Continues over this connection and closes an earlier one."""
        if self._next_connection is not None:
            self._next_connection.close(1000)
        self._next_connection = connection
        self.post(Resumed())

    def detach(self, connection: ClientConnection) -> None:
        """Reports the end of a connection; ignored if another one has replaced it."""
        if self._next_connection is connection:
            self._next_connection = None
            self.post(Disconnected())
        if self._connection is connection:
            self._connection = None
            self.post(Disconnected())

    def hang_up(self, code: int) -> None:
        """Closes the connection, if there is one, with this code."""
        if self._connection is not None:
            self._connection.has_session = False
            self._connection.close(code)
            self._connection = None

    async def run(self) -> None:
        """Processes events until the session is closed."""
        try:
            async with asyncio.TaskGroup() as tasks:
                recognition = tasks.create_task(self._pipeline.run())
                await self._pump(tasks)
                recognition.cancel()
        finally:
            self._responder.close()
            if self._timer is not None:
                self._timer.cancel()
            self._log.close()
            if self._next_connection is not None:
                # It came too late; the client opens a new session.
                self._next_connection.close(1008)

    async def _pump(self, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while self.session.phase is not Phase.CLOSED:
            event = await self._inbox.get()
            began = time.thread_time()
            if isinstance(event, Resumed):
                self.hang_up(1000)
                self._connection, self._next_connection = self._next_connection, None
                if self._connection is not None:
                    self._connection.has_session = True
            for action in self.session.feed(event, loop.time()):
                self._perform(action, tasks)
            if isinstance(event, Disconnected | Resumed):
                self._pipeline.reset()
            self._set_timer(loop)
            self.cpu_seconds += time.thread_time() - began

    def _perform(self, action: ServerAction, tasks: asyncio.TaskGroup) -> None:
        match action:
            case Send(message=message):
                self._send(message)
            case FeedAudio(pcm=pcm):
                self._pipeline.listen(pcm)
            case StartReply():
                was_speculative = self._responder.start(action, self.post)
                self._log.start_reply(was_speculative=was_speculative)
            case StopReply():
                self._responder.stop()
            case AppendHistory() | RemoveFromHistory():
                self._responder.update_history(action)
            case Configure(settings=settings):
                self._configure(settings, tasks)
            case Close(code=code):
                self.hang_up(code)
            case _:
                assert_never(action)

    def _send(self, message: ServerMessage) -> None:
        if isinstance(message, ReplyAudio):
            self._log.send_audio()
        text = encode(message)
        if isinstance(message, SessionUpdated):
            self._config_size = len(text)
        if self._connection is not None:
            self._connection.send(text)

    def _configure(self, settings: Settings, tasks: asyncio.TaskGroup) -> None:
        self._log.open()
        if self._connection is not None:
            self._connection.has_session = True
        self._pipeline.configure(settings)
        agent = self._responder.configure(settings)
        if agent is not None:
            tasks.create_task(self._warm(agent))

    async def _warm(self, agent: AgentContext) -> None:
        """Caches prompt and tools in the model while the greeting plays."""
        speech = self._context.speech
        try:
            await self._context.workers.run(
                "the language model", lambda: speech.language_model().warm(agent)
            )
        except SpeechError as error:  # the first reply is only slower
            self._context.report("vagent.warning", {"message": error.message})

    def _warn(self, message: str) -> None:
        facts = {"session_id": self.session.session_id, "message": message}
        self._context.report("vagent.warning", facts)

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        deadline = self.session.deadline
        if self._timer is not None:
            if self._timer.when() == deadline and not self._timer.cancelled():
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = loop.call_at(deadline, self.post, Tick())


class SessionLog:
    """Reports the start, the latency of each turn and the end of one session.

    Reports no transcripts.
    """

    def __init__(self, report: Report, session_id: str) -> None:
        self._report = report
        self._session_id = session_id
        self._opened_at: float | None = None
        self._turns = 0
        # End of the caller's speech in the turn that is being answered.
        self._silent_since: float | None = None
        self._endpointing_seconds = 0.0
        self._was_speculative = False

    def open(self) -> None:
        """Reports the first configuration of the session."""
        if self._opened_at is None:
            self._opened_at = time.monotonic()
            self._log("vagent.session.opened")

    def end_turn(self, silence_seconds: float) -> None:
        """Notes the end of a turn, with the silence since its last speech."""
        self._silent_since = time.monotonic() - silence_seconds
        self._endpointing_seconds = silence_seconds

    def start_reply(self, *, was_speculative: bool) -> None:
        """Notes the start of a reply."""
        self._was_speculative = was_speculative

    def send_audio(self) -> None:
        """Reports the latency of the turn at the first audio after it."""
        if self._silent_since is None:
            return
        self._turns += 1
        self._log(
            "vagent.turn",
            endpointing_ms=round(self._endpointing_seconds * 1000),
            first_audio_ms=round((time.monotonic() - self._silent_since) * 1000),
            speculative=self._was_speculative,
        )
        self._silent_since = None

    def close(self) -> None:
        """Reports the end of the session, if it was opened."""
        if self._opened_at is not None:
            seconds = round(time.monotonic() - self._opened_at, 3)
            self._log("vagent.session.closed", seconds=seconds, turns=self._turns)

    def _log(self, kind: str, **fields: Any) -> None:
        self._report(kind, {"session_id": self._session_id, **fields})
