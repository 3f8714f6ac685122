"""The engine: feeds events to the session of a call and performs its actions.

All sources of events (connection, microphone, tools, timers) call `post` on the event
loop. `post` feeds the session and performs its actions before it returns; neither
awaits, so no two events interleave and no lock is needed. An event that is posted
while another is being performed is queued in the inbox. A slow upload blocks nothing:
messages that the socket does not accept wait in the outbox of the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Protocol, TypeAlias

from runner.audio.devices import Microphone, Speaker
from runner.audio.pcm import duration_ms
from runner.engine.connection import Connection, Dial
from runner.errors import VagentError
from runner.observers.events import Observer
from runner.protocol.client.actions import (
    Action,
    CancelTool,
    Close,
    Connect,
    Drain,
    Play,
    RunTool,
    Send,
    StopPlayback,
    Synthesize,
)
from runner.protocol.client.events import (
    Event,
    MicFrame,
    PlaybackCut,
    PlaybackDrained,
    Received,
    Reconfigure,
    SpeechSynthesized,
    Tick,
    ToolFinished,
)
from runner.protocol.client.session import ClientSession
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import JsonObject, ReplyAudio, ToolCall

# Time for the speaker to play the buffered audio after the end of the session.
DRAIN_SECONDS = 30.0


# Synthesizes a text as 24 kHz PCM16; empty if that is not possible.
Speak: TypeAlias = Callable[[str], Awaitable[bytes]]


class _SessionClosed(Exception):
    """The session is closed; cancels the tasks of the engine."""


class Engine:
    """Performs the actions of a `ClientSession`; one engine runs one call.

    The caller of `run` opens the devices before and closes them after it.
    """

    def __init__(
        self,
        session: ClientSession,
        dial: Dial,
        *,
        microphone: Microphone,
        speaker: Speaker,
        run_tool: RunToolCall,
        voice: Speak | None = None,
        observers: Sequence[Observer] = (),
        timer_slack: float = 0.0,
    ) -> None:
        """`voice` synthesizes announcements; None: there are no local announcements.

        The session's timers fire `timer_slack` seconds late.
        """
        self.session = session
        self._timer_slack = timer_slack
        self.connection = Connection(dial, self.post)
        # Set while no reply, tool call or hang-up is pending, and the opposite.
        self.settled = asyncio.Event()
        self.unsettled = asyncio.Event()
        self._devices = (microphone, speaker)
        self._playback = PlaybackTracker()
        self._tools = ToolTasks(run_tool, self.post)
        self._voice = voice
        self._observers = observers
        self._inbox: deque[Event] = deque()
        self._is_feeding = False  # events posted meanwhile stay in the inbox
        self._timer: asyncio.Handle | None = None
        self._timer_at: float | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._is_listening = False
        self.is_muted = False  # silence is sent in place of the microphone audio
        self._closed: asyncio.Future[Close] = asyncio.Future()

    async def run(self) -> Close:
        """Runs the call and returns how it ended; call once.

        Raises:
            VagentError: a device failed.
        """
        failed: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                now = self._now()
                self._perform_all(self.session.start(now), now)
                self._set_timer()
                await self._closed
                raise _SessionClosed  # the only way to cancel the tasks of a group
        except* _SessionClosed:
            pass
        except* VagentError as failures:
            failed = failures.exceptions[0]
        finally:
            self._cancel_timer()
            await asyncio.gather(self.connection.close(), self._tools.close())
        if failed is not None:
            # Raised here, because early versions of 3.11 would raise it in a group.
            raise failed from None
        close = self._closed.result()
        if close.drain:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._devices[1].drained(), DRAIN_SECONDS)
        return close

    def post(self, event: Event) -> None:
        """Feeds an event to the session; call on the thread of the event loop."""
        self._inbox.append(event)
        if self._is_feeding:
            return
        self._is_feeding, is_only_audio = True, True
        try:
            while self._inbox:
                is_only_audio = is_only_audio and _is_audio(self._inbox[0])
                self._feed(self._inbox.popleft())
        except Exception as error:
            # The poster, a callback of a socket or of a timer, cannot handle it.
            if self._closed.done():
                raise
            self._closed.set_exception(error)  # raised by `run`
        finally:
            self._inbox.clear()
            self._is_feeding = False
        if not is_only_audio:
            self._update_state()
            self._set_timer()

    def reconfigure(self, session: JsonObject, tools: Mapping[str, ToolPolicy]) -> None:
        """Changes the running session; `ConfigApplied` follows when it took effect."""
        self.post(Reconfigure(session, tools))

    def _feed(self, event: Event) -> None:
        now = self._now()
        for observe in self._observers:
            observe(now, event)
        self._perform_all(self.session.feed(event, now), now)

    def _perform_all(self, actions: Sequence[Action], now: float) -> None:
        for action in actions:
            for observe in self._observers:
                observe(now, action)
            self._perform(action)

    def _perform(self, action: Action) -> None:
        match action:
            case Send(message):
                self.connection.send(message)
            case Play(pcm):
                reply = self.session.turn_manager.reply
                self._playback.play(reply.reply_id if reply else "", pcm)
                self._devices[1].play(pcm)
            case StopPlayback():
                self._stop_playback()
            case RunTool(call):
                self._tools.start(call)
            case CancelTool(call_id):
                self._tools.cancel(call_id)
            case Drain():
                self._start(self._report_drained())
            case Synthesize():
                self._start(self._speak(action))
            case Connect(token):
                assert self._tasks is not None, "connecting before run()"
                self.connection.open(token, self._tasks)
            case Close() if not self._closed.done():
                self._closed.set_result(action)
            case _:
                pass  # for observers only: a notice or an announcement

    def _stop_playback(self) -> None:
        for cut in self._playback.cut(self._devices[1].stop()):
            self.post(cut)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        assert self._tasks is not None, "an action before run()"
        self._tasks.create_task(work)

    async def _listen(self) -> None:
        async for pcm in self._devices[0].frames():
            self.post(MicFrame(bytes(len(pcm)) if self.is_muted else pcm))

    async def _report_drained(self) -> None:
        await self._devices[1].drained()
        self.post(PlaybackDrained())

    async def _speak(self, wanted: Synthesize) -> None:
        if self._voice is not None:
            self.post(SpeechSynthesized(wanted.call_id, await self._voice(wanted.text)))

    def _update_state(self) -> None:
        if self.session.is_live and not self._is_listening:
            # Not earlier: no audio of a caller or a file may be lost.
            self._is_listening = True
            self._start(self._listen())
        current, other = self.settled, self.unsettled
        if not self.session.is_settled:
            current, other = other, current
        if not current.is_set():
            current.set()
            other.clear()

    def _set_timer(self) -> None:
        due = self.session.deadline
        if due is not None:
            due += self._timer_slack
        if self._timer is not None:
            if due == self._timer_at:
                return
            self._cancel_timer()
        if due is not None:
            loop = asyncio.get_running_loop()
            # The time is stored, because uvloop's handle of a due timer has none.
            self._timer, self._timer_at = loop.call_at(due, self._on_timer), due

    def _on_timer(self) -> None:
        self._timer = None
        self.post(Tick())

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _is_audio(event: Event) -> bool:
    """True if an event only forwards audio: it changes no state and sets no timer."""
    # There are forty of these per second, and a few of all others.
    if isinstance(event, MicFrame):
        return True
    return isinstance(event, Received) and isinstance(event.message, ReplyAudio)


# Time for cancelled tool calls to clean up.
TOOL_CLEANUP_SECONDS = 2.0
# Further tool calls wait for one to end; a model rarely requests more at once, and the
# service behind a tool may not support it.
MAX_CONCURRENT_TOOL_CALLS = 8


class ToolOutcome(Protocol):
    """The result of a tool call as JSON text."""

    @property
    def text(self) -> str: ...

    @property
    def is_error(self) -> bool: ...


RunToolCall: TypeAlias = Callable[[ToolCall], Awaitable[ToolOutcome]]


class ToolTasks:
    """Runs tool calls as tasks, with a limit on their number."""

    def __init__(self, run_tool: RunToolCall, post: Callable[[Event], None]) -> None:
        self._run_tool = run_tool
        self._post = post
        self._running: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_TOOL_CALLS)

    def start(self, call: ToolCall) -> None:
        """Starts a tool call; posts `ToolFinished` at its end."""
        task = asyncio.create_task(self._run(call))
        self._running[call.call_id] = task
        task.add_done_callback(lambda _: self._running.pop(call.call_id, None))

    def cancel(self, call_id: str) -> None:
        """Cancels a tool call; posts nothing."""
        task = self._running.get(call_id)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Cancels all tool calls and waits up to `TOOL_CLEANUP_SECONDS`."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=TOOL_CLEANUP_SECONDS)

    async def _run(self, call: ToolCall) -> None:
        async with self._slots:
            outcome = await self._run_tool(call)
        self._post(ToolFinished(call.call_id, outcome.text, outcome.is_error))


# Replies in the buffer of a speaker at once: the current one and its successors.
_MAX_REPLIES = 8


class PlaybackTracker:
    """Counts the audio of each reply that was passed to the speaker."""

    def __init__(self) -> None:
        self._handed: deque[tuple[str, float]] = deque(maxlen=_MAX_REPLIES)

    def play(self, reply_id: str, pcm: bytes) -> None:
        """Counts audio of a reply."""
        handed = 0.0
        if self._handed and self._handed[-1][0] == reply_id:
            handed = self._handed.pop()[1]
        self._handed.append((reply_id, handed + duration_ms(pcm)))

    def cut(self, dropped_ms: float) -> list[PlaybackCut]:
        """Returns the played and dropped parts of the replies, oldest first.

        `dropped_ms` is the length of the audio that the speaker discarded, which
        belongs to the newest replies.
        """
        cuts: list[PlaybackCut] = []
        while dropped_ms > 0 and self._handed:
            reply_id, handed = self._handed.pop()
            dropped = min(dropped_ms, handed)
            dropped_ms -= dropped
            played, dropped = round(handed - dropped, 3), round(dropped, 3)
            cuts.append(PlaybackCut(reply_id, played, dropped))
        return cuts[::-1]
