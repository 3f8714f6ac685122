"""Drives a session: everything that happens goes in, everything it wants is done.

All sources of events (the wire, the microphone, tools, time) call `post` on the event
loop's thread. `post` feeds the session and performs its actions before it returns; as
neither ever awaits, no two events interleave and no lock is needed. An event that is
posted while another is being performed waits its turn in the inbox. Nothing here waits
for a slow upload: what the socket does not take waits in the line's outbox.
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

# How long the speaker may take to finish after the session is over.
LAST_WORDS_SECONDS = 30.0


# Makes sound of words, in the encoding that is played; empty where it cannot.
Speak: TypeAlias = Callable[[str], Awaitable[bytes]]


class _Over(Exception):
    """The session is closed: the engine's tasks may go."""


class Engine:
    """Performs what a `ClientSession` wants; one engine holds one call.

    The devices are opened before `run` and closed after it by whoever made them.
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
        """`voice` says announcements; None: they stay unsaid by this machine.

        The session's timers ring `timer_slack` seconds late.
        """
        self.session = session
        self._timer_slack = timer_slack
        self.line = Connection(dial, self.post)
        # Set while nobody owes anybody anything, and its opposite.
        self.settled = asyncio.Event()
        self.unsettled = asyncio.Event()
        self._devices = (microphone, speaker)
        self._heard = PlaybackTracker()
        self._tools = ToolTasks(run_tool, self.post)
        self._voice = voice
        self._observers = observers
        self._inbox: deque[Event] = deque()
        self._is_pumping = False  # an event that comes meanwhile waits its turn
        self._alarm: asyncio.Handle | None = None
        self._rings_at: float | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._is_listening = False
        self.is_muted = False  # silence goes out in place of the microphone's sound
        self._closed: asyncio.Future[Close] = asyncio.Future()

    async def run(self) -> Close:
        """Hold the call and return how it ended; can be done once.

        Raises:
            VagentError: a device failed.
        """
        failed: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                now = self._now()
                self._perform_all(self.session.start(now), now)
                self._set_alarm()
                await self._closed
                raise _Over  # cancels what still runs: a group offers no other way
        except* _Over:
            pass
        except* VagentError as failures:
            failed = failures.exceptions[0]
        finally:
            self._cancel_alarm()
            await asyncio.gather(self.line.close(), self._tools.close())
        if failed is not None:
            raise failed from None  # from above, early 3.11 would raise it in a group
        close = self._closed.result()
        if close.drain:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._devices[1].drained(), LAST_WORDS_SECONDS)
        return close

    def post(self, event: Event) -> None:
        """Take in an event; must be called on the event loop's thread."""
        self._inbox.append(event)
        if self._is_pumping:
            return
        self._is_pumping, is_only_sound = True, True
        try:
            while self._inbox:
                is_only_sound = is_only_sound and _is_sound(self._inbox[0])
                self._feed(self._inbox.popleft())
        except Exception as error:
            # Whoever posts, a callback of a socket or of a timer, has nobody to tell.
            if self._closed.done():
                raise
            self._closed.set_exception(error)  # and so `run` raises it
        finally:
            self._inbox.clear()
            self._is_pumping = False
        if not is_only_sound:
            self._note_state()
            self._set_alarm()

    def reconfigure(self, session: JsonObject, tools: Mapping[str, ToolPolicy]) -> None:
        """Changes the running session; `ConfigApplied` follows when it is in effect."""
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
                self.line.send(message)
            case Play(pcm):
                reply = self.session.turn_manager.reply
                self._heard.play(reply.reply_id if reply else "", pcm)
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
                self.line.open(token, self._tasks)
            case Close() if not self._closed.done():
                self._closed.set_result(action)
            case _:
                pass  # for the observers: a notice, an adoption, an announcement

    def _stop_playback(self) -> None:
        for cut in self._heard.cut(self._devices[1].stop()):
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

    def _note_state(self) -> None:
        if self.session.is_live and not self._is_listening:
            # Not before: nothing that a caller or a file says may be lost.
            self._is_listening = True
            self._start(self._listen())
        now, before = self.settled, self.unsettled
        if not self.session.is_settled:
            now, before = before, now
        if not now.is_set():
            now.set()
            before.clear()

    def _set_alarm(self) -> None:
        due = self.session.deadline
        if due is not None:
            due += self._timer_slack
        if self._alarm is not None:
            if due == self._rings_at:
                return
            self._cancel_alarm()
        if due is not None:
            loop = asyncio.get_running_loop()
            # Of what is due already, uvloop's handle has no time to ask it for.
            self._alarm, self._rings_at = loop.call_at(due, self._ring), due

    def _ring(self) -> None:
        self._alarm = None
        self.post(Tick())

    def _cancel_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _is_sound(event: Event) -> bool:
    """Whether an event only passes sound on: it changes no state and sets no timer.

    Forty of these come a second, and a handful of all others.
    """
    if isinstance(event, MicFrame):
        return True
    return isinstance(event, Received) and isinstance(event.message, ReplyAudio)


# The tool calls that run beside a session, a task each; the engine starts them.


# How long cancelled calls may take to clean up.
TOOL_CLEANUP_SECONDS = 2.0
# Calls beyond this many wait for one to end; a model that asks for more at once is
# rare, and a tool's far end may not bear it.
CALLS_AT_ONCE = 8


class ToolOutcome(Protocol):
    """What a tool call came to, as JSON text."""

    @property
    def text(self) -> str: ...

    @property
    def is_error(self) -> bool: ...


RunToolCall: TypeAlias = Callable[[ToolCall], Awaitable[ToolOutcome]]


class ToolTasks:
    """The calls that are running, a task each, so many of them at once."""

    def __init__(self, run_tool: RunToolCall, post: Callable[[Event], None]) -> None:
        self._run_tool = run_tool
        self._post = post
        self._running: dict[str, asyncio.Task[None]] = {}
        self._turnstile = asyncio.Semaphore(CALLS_AT_ONCE)

    def start(self, call: ToolCall) -> None:
        """Run a call; its end is posted as `ToolFinished`."""
        task = asyncio.create_task(self._run(call))
        self._running[call.call_id] = task
        task.add_done_callback(lambda _: self._running.pop(call.call_id, None))

    def cancel(self, call_id: str) -> None:
        """Stop a call; nothing is posted for it."""
        task = self._running.get(call_id)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Stop every call and wait a moment for them to clean up."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=TOOL_CLEANUP_SECONDS)

    async def _run(self, call: ToolCall) -> None:
        async with self._turnstile:
            outcome = await self._run_tool(call)
        self._post(ToolFinished(call.call_id, outcome.text, outcome.is_error))


# How much of each reply was really heard.


# Replies that may wait in a speaker at once: the one that is heard, and what follows.
_MOST_REPLIES = 8


class PlaybackTracker:
    """Keeps account of what was handed to the speaker, reply by reply."""

    def __init__(self) -> None:
        self._handed: deque[tuple[str, float]] = deque(maxlen=_MOST_REPLIES)

    def play(self, reply_id: str, pcm: bytes) -> None:
        """Note sound of a reply that goes to the speaker."""
        handed = 0.0
        if self._handed and self._handed[-1][0] == reply_id:
            handed = self._handed.pop()[1]
        self._handed.append((reply_id, handed + duration_ms(pcm)))

    def cut(self, dropped_ms: float) -> list[PlaybackCut]:
        """Return what became of the replies that this much of was thrown away.

        The newest was to be heard last, and so went first.
        """
        cuts: list[PlaybackCut] = []
        while dropped_ms > 0 and self._handed:
            reply_id, handed = self._handed.pop()
            dropped = min(dropped_ms, handed)
            dropped_ms -= dropped
            played, dropped = round(handed - dropped, 3), round(dropped, 3)
            cuts.append(PlaybackCut(reply_id, played, dropped))
        return cuts[::-1]
