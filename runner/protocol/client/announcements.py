"""Announcements of running tool calls, and prompts for silent callers.

An announcement is said 600 ms after the start of its tool call, once the floor is free.
It is dropped if the agent is audible or the caller speaks before that, or if the tool
call ends or the connection is lost. Any audible speech drops all pending announcements:
of several tool calls at once, only the first is announced.

Only audible samples count as speech, because services begin replies with up to seconds
of silence. An announcement is spoken by the service (`reply.create`) between two
replies. Local TTS speaks it if the service refuses `reply.create`, or if a reply is in
progress and silent.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from runner.protocol.client.actions import (
    Action,
    Announce,
    Notify,
    Play,
    Send,
    Synthesize,
)
from runner.protocol.client.config import AnnounceBy, IdlePolicy
from runner.protocol.client.state import UNKNOWN_ERROR, rule_for_error
from runner.protocol.client.timers import Timer, Timers
from runner.protocol.client.tool_calls import CallState
from runner.protocol.client.turn_taking import Floor, HangUpState, TurnManager
from runner.protocol.messages import ReplyCreate, say_verbatim

# A service that speaks by itself has begun by then; a caller has not yet wondered.
ANNOUNCE_SECONDS = 0.6
# Samples below 256 of 32767 (-42 dBFS) have a high byte of 0x00 or 0xff.
_QUIET_HIGH_BYTES = b"\x00\xff"
# Error codes with which services answer a message that they do not know, besides codes
# that are in no table.
_REFUSALS = {"invalid_format", "invalid_value"}


def is_audible(pcm: bytes) -> bool:
    """True if a sample of this PCM16 audio is above -42 dBFS."""
    return bool(pcm[1::2].strip(_QUIET_HIGH_BYTES))


@dataclass(slots=True)
class _Waiting:
    call_id: str
    text: str
    due: float
    is_synthesizing: bool = False  # Synthesize was emitted
    pcm: bytes = b""  # the synthesized audio


class Announcements:
    """Pending announcements of tool calls; owned by the conversation."""

    def __init__(
        self, timers: Timers, turn_manager: TurnManager, by: AnnounceBy
    ) -> None:
        self._timers = timers
        self._turn_manager = turn_manager
        self._by = by
        self._waiting: dict[str, _Waiting] = {}  # by call_id, in order of the calls
        self._requested: _Waiting | None = None  # the last one sent by reply.create
        self._audible_until = 0.0  # when the last audible audio will have been played

    def begin(self, call_id: str, now: float) -> list[Action]:
        """Schedules the announcement of a tool call that has started."""
        call = self._turn_manager.calls.find(call_id)
        text = None if call is None else call.policy.announce
        if not text:
            return []
        waiting = _Waiting(call_id, text, now + ANNOUNCE_SECONDS)
        self._waiting[call_id] = waiting
        may_need_local_tts = self._by == "voice" or (
            self._by == "either" and self._turn_manager.turn is Floor.AGENT
        )
        return self._synthesize(waiting) if may_need_local_tts else []

    def note_audio(self, pcm: bytes, until: float) -> None:
        """Records audio of the agent that will have been played at `until`."""
        if is_audible(pcm):
            self._audible_until = until
            self._clear()

    def cancel(self) -> None:
        """Drops all announcements: the caller speaks or the connection is lost."""
        self._audible_until = 0.0
        self._clear()

    def add_audio(self, call_id: str, pcm: bytes) -> None:
        """Stores the synthesized audio of an announcement; empty if that failed."""
        waiting = self._waiting.get(call_id)
        if waiting is not None:
            waiting.pcm = pcm

    def refuse(self, code: str, now: float) -> list[Action]:
        """Handles an error of the service that may refuse an announcement."""
        is_known = rule_for_error(code) is not UNKNOWN_ERROR
        if not self._is_awaited or (is_known and code.lower() not in _REFUSALS):
            return []
        if self._requested is not None and self._by == "either":
            self._waiting = {self._requested.call_id: self._requested, **self._waiting}
        actions = self.stop_requesting()
        if self._turn_manager.pending_reply.is_announcement:
            self._turn_manager.pending_reply.close()
        return actions + self._turn_manager.send_results(now)

    def stop_requesting(self) -> list[Action]:
        """Uses local TTS from now on: the service does not accept reply.create."""
        self._requested = None
        if self._by != "either":
            return []
        self._by = "voice"
        return [Notify("the service says no announcements: the local voice does")]

    def update(self, now: float) -> list[Action]:
        """Says a due announcement if that is allowed now; called after every event."""
        if not self._waiting:
            return []
        first = self._first()
        if first is None:
            self._clear()
            return []
        if first.due > now:
            self._timers.set(Timer.ANNOUNCE, first.due)
            return []
        if self._audible_until > now:
            self._clear()  # the agent spoke just before the call
            return []
        return self._say(first, now)

    @property
    def _is_awaited(self) -> bool:
        """True if a requested announcement has no audio yet."""
        if self._turn_manager.pending_reply.is_announcement:
            return True
        reply = self._turn_manager.reply
        return reply is not None and reply.is_announcement and reply.awaits_audio

    def _first(self) -> _Waiting | None:
        """Returns the first one whose tool runs, and drops those before it."""
        while self._waiting:
            call_id, waiting = next(iter(self._waiting.items()))
            call = self._turn_manager.calls.find(call_id)
            if call is not None and call.state is CallState.RUNNING:
                return waiting
            del self._waiting[call_id]
        return None

    def _say(self, first: _Waiting, now: float) -> list[Action]:
        turn, pending_reply = self._turn_manager.turn, self._turn_manager.pending_reply
        if turn is Floor.USER or pending_reply.is_open:
            return []
        if self._turn_manager.hang_up_state is not HangUpState.NONE:
            return []
        if self._by != "voice" and turn is Floor.IDLE:
            self._clear()
            self._requested = first
            pending_reply.expect_announcement(now)
            return [Send(ReplyCreate(say_verbatim(first.text)))]
        if self._by == "reply":
            return []
        if first.pcm:
            self._clear()
            return [Announce(first.text), Play(first.pcm)]
        return self._synthesize(first)

    def _clear(self) -> None:
        self._waiting.clear()
        self._timers.clear(Timer.ANNOUNCE)

    @staticmethod
    def _synthesize(waiting: _Waiting) -> list[Action]:
        if waiting.is_synthesizing:
            return []
        waiting.is_synthesizing = True
        return [Synthesize(waiting.call_id, waiting.text)]


# Prompts that the client requests: to a silent caller, and a minute before the limit.
#
# They are said only while the session is settled (nothing is pending); a prompt that is
# due earlier waits. Silence is counted from the end of the last audio on either side;
# the prompts themselves do not end it.


LAST_MINUTE_SECONDS = 60.0
STILL_THERE = "Ask the caller in one short sentence whether they are still there."


def prompt_verbatim(line: str) -> str:
    """Returns the instructions to say exactly this text."""
    return f'Say exactly this and nothing else: "{line}"'


class IdlePrompter:
    """Schedules prompts; methods return the instructions for reply.create, or None."""

    def __init__(
        self, timers: Timers, idle: IdlePolicy, one_minute_left: str | None
    ) -> None:
        self._timers = timers
        self._idle = idle
        self._one_minute_left = one_minute_left
        self._due: deque[str] = deque()
        self._is_settled = False
        self._is_prompting = (
            False  # the reply that is awaited or in progress is a prompt
        )

    def begin(self, now: float, max_duration: float | None) -> None:
        """Starts the timer of the last minute; the call begins."""
        if self._one_minute_left is not None and max_duration is not None:
            wait = max_duration - LAST_MINUTE_SECONDS
            if wait > 0:
                self._timers.set(Timer.LAST_MINUTE, now + wait)

    def caller_active(self) -> None:
        """Stops the timers: the caller is not silent any more."""
        self._is_settled = self._is_prompting = False
        self._timers.clear(Timer.NUDGE, Timer.IDLE)

    def update(self, is_settled: bool, quiet_from: float) -> str | None:
        """Starts or stops timers after an event, or returns a prompt that is due."""
        if not is_settled:
            if self._is_settled and not self._is_prompting:
                self.caller_active()
            self._is_settled = False
            return None
        if self._is_settled:
            return None
        self._is_settled = True
        was_prompting, self._is_prompting = self._is_prompting, False
        if self._due:
            return self._prompt()
        if not was_prompting:
            self._count_from(quiet_from)
        return None

    def last_minute(self) -> str | None:
        """Schedules the announcement of the last minute."""
        if self._one_minute_left is None:
            return None
        self._due.append(prompt_verbatim(self._one_minute_left))
        return self._prompt() if self._is_settled else None

    def nudge(self) -> str | None:
        """Schedules the prompt to a silent caller."""
        say = self._idle.say
        self._due.append(STILL_THERE if say is None else prompt_verbatim(say))
        return self._prompt() if self._is_settled else None

    def _prompt(self) -> str:
        self._is_settled, self._is_prompting = False, True
        return self._due.popleft()

    def _count_from(self, quiet_from: float) -> None:
        if self._idle.nudge_after is not None:
            self._timers.set(Timer.NUDGE, quiet_from + self._idle.nudge_after)
        if self._idle.end_after is not None:
            self._timers.set(Timer.IDLE, quiet_from + self._idle.end_after)
