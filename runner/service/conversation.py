"""Drives one `ServerSession`: one inbox, one pump, actions performed without waiting.

A conversation outlives its connection: when the line drops it goes on for the grace
period, and a new line can take it up.
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
from runner.protocol.messages import ReplyAudio, ServerMessage
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


class ClientConnection(Protocol):
    """A connection to the client; both methods return at once."""

    def send(self, text: str) -> None: ...

    def close(self, code: int) -> None:
        """Close after everything that was sent before."""
        ...


def make_id(kind: str) -> str:
    """Return a fresh identifier as the service writes them."""
    return f"{kind}_{uuid.uuid4().hex}"


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What all conversations of one server share."""

    speech: SpeechStack
    workers: Workers
    synthesizer: SpeechSynthesizer
    report: Report
    make_id: MakeId = make_id
    # What to add to the loop's clock to get seconds since 1970; None: find it out.
    epoch: float | None = None
    chunk_ms: float | None = None  # of sound in one message; None: as the service cuts


class Conversation:
    """One session with its speech components; runs as a task."""

    def __init__(self, context: ServerContext) -> None:
        epoch = context.epoch
        if epoch is None:
            epoch = time.time() - asyncio.get_running_loop().time()
        self.session = ServerSession(context.make_id, epoch=epoch)
        self._context = context
        self._inbox: asyncio.Queue[ServerEvent] = asyncio.Queue()
        self._speaking = Responder(
            context.speech, context.workers, context.synthesizer, context.chunk_ms
        )
        self._hearing = SpeechPipeline(context.speech, context.workers, self)
        self._log = SessionLog(context.report, self.session.session_id)
        self._line: ClientConnection | None = None
        self._waiting_line: ClientConnection | None = (
            None  # taken over when Resumed is fed
        )
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def agent_sounds(self) -> bool:
        """True if the caller hears the agent now."""
        return self._speaking.is_sounding

    @property
    def yields(self) -> bool:
        """True if the caller may take the floor now."""
        return self.session.is_interruptible

    def post(self, event: ServerEvent) -> None:
        """Take an event; from the event loop's thread only."""
        self._inbox.put_nowait(event)

    def suppose(self, text: str) -> None:
        """Think ahead about what the caller perhaps has finished saying."""
        self._speaking.suppose(text)

    def doubt(self) -> None:
        """The caller goes on: what was thought ahead is void."""
        self._speaking.doubt()

    def mark_end(self, silence_seconds: float) -> None:
        """Note for the session log when the caller fell silent."""
        self._log.end_turn(silence_seconds)

    def attach(self, line: ClientConnection) -> None:
        """Speak over this line from now on."""
        self._line = line

    def resume(self, line: ClientConnection) -> None:
        """Go on over this line; an earlier one that is still there is closed."""
        self._waiting_line = line
        self.post(Resumed())

    def detach(self, line: ClientConnection) -> None:
        """The line is gone; nothing happens if another one has taken over."""
        if self._line is line:
            self._line = None
            self.post(Disconnected())

    def hang_up(self, code: int) -> None:
        """Close the line, if there is one, with this code."""
        if self._line is not None:
            self._line.close(code)
            self._line = None

    async def run(self) -> None:
        """Live until the session is closed."""
        try:
            async with asyncio.TaskGroup() as tasks:
                hearing = tasks.create_task(self._hearing.run())
                await self._pump(tasks)
                hearing.cancel()
        finally:
            self._speaking.close()
            if self._alarm is not None:
                self._alarm.cancel()
            self._log.close()
            if self._waiting_line is not None:
                # It came too late by a hair; the client starts afresh.
                self._waiting_line.close(1008)

    async def _pump(self, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while self.session.phase is not Phase.CLOSED:
            event = await self._inbox.get()
            if isinstance(event, Resumed):
                self.hang_up(1000)
                self._line, self._waiting_line = self._waiting_line, None
            for action in self.session.feed(event, loop.time()):
                self._perform(action, tasks)
            if isinstance(event, Disconnected | Resumed):
                self._hearing.reset()
            self._set_alarm(loop)

    def _perform(self, action: ServerAction, tasks: asyncio.TaskGroup) -> None:
        match action:
            case Send(message=message):
                self._send(message)
            case FeedAudio(pcm=pcm):
                self._hearing.listen(pcm)
            case StartReply():
                self._log.start_reply(
                    was_guessed=self._speaking.start(action, self.post)
                )
            case StopReply():
                self._speaking.stop()
            case AppendHistory() | RemoveFromHistory():
                self._speaking.note(action)
            case Configure(settings=settings):
                self._configure(settings, tasks)
            case Close(code=code):
                self.hang_up(code)
            case _:
                assert_never(action)

    def _send(self, message: ServerMessage) -> None:
        if isinstance(message, ReplyAudio):
            self._log.sound()
        if self._line is not None:
            self._line.send(encode(message))

    def _configure(self, settings: Settings, tasks: asyncio.TaskGroup) -> None:
        self._log.open()
        self._hearing.configure(settings)
        brief = self._speaking.configure(settings)
        if brief is not None:
            tasks.create_task(self._warm(brief))

    async def _warm(self, brief: AgentContext) -> None:
        """Read the prompt while the greeting plays; failing costs only time later."""
        speech = self._context.speech
        try:
            await self._context.workers.run(
                "the language model", lambda: speech.language_model().warm(brief)
            )
        except SpeechError as error:
            self._context.report("vagent.warning", {"message": error.message})

    def _set_alarm(self, loop: asyncio.AbstractEventLoop) -> None:
        deadline = self.session.deadline
        if self._alarm is not None:
            if self._alarm.when() == deadline and not self._alarm.cancelled():
                return
            self._alarm.cancel()
            self._alarm = None
        if deadline is not None:
            self._alarm = loop.call_at(deadline, self.post, Tick())


# What a server tells its operator of a session: that it opened, how fast it answered,
# that it closed. Never what was said.


Report = Callable[[str, Mapping[str, Any]], None]


class SessionLog:
    """Measures one session and reports it; told by its conversation."""

    def __init__(self, report: Report, session_id: str) -> None:
        self._report = report
        self._session_id = session_id
        self._opened_at: float | None = None
        self._turns = 0
        # When the caller fell silent, of the turn that is being answered.
        self._silent_since: float | None = None
        self._decided_after = 0.0
        self._was_guessed = False

    def open(self) -> None:
        """The session has been configured; said once."""
        if self._opened_at is None:
            self._opened_at = time.monotonic()
            self._tell("vagent.session.opened")

    def end_turn(self, silence_seconds: float) -> None:
        """The caller's turn was found to be over, so long after its last sound."""
        self._silent_since = time.monotonic() - silence_seconds
        self._decided_after = silence_seconds

    def start_reply(self, *, was_guessed: bool) -> None:
        """A reply begins; `was_guessed`: it had been thought ahead."""
        self._was_guessed = was_guessed

    def sound(self) -> None:
        """Sound goes out; the first after a turn is what the caller waited for."""
        if self._silent_since is None:
            return
        self._turns += 1
        self._tell(
            "vagent.turn",
            endpointing_ms=round(self._decided_after * 1000),
            first_audio_ms=round((time.monotonic() - self._silent_since) * 1000),
            speculative=self._was_guessed,
        )
        self._silent_since = None

    def close(self) -> None:
        """The session is over for good."""
        if self._opened_at is not None:
            seconds = round(time.monotonic() - self._opened_at, 3)
            self._tell("vagent.session.closed", seconds=seconds, turns=self._turns)

    def _tell(self, kind: str, **facts: Any) -> None:
        self._report(kind, {"session_id": self._session_id, **facts})
