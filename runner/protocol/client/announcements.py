"""What is said while a tool runs: that somebody is busy, once, into a silence.

| an announcement waits from its call on | until                                      |
|----------------------------------------|--------------------------------------------|
| for 600 ms, and for a free floor       | it is said, if nobody has spoken meanwhile |
| for nothing any more                   | the agent is heard, or the caller speaks   |
| for nothing any more                   | the call is over, or the line is lost      |

To be heard is to make audible sound: services begin replies with up to seconds of
silence, and that is no word. Whatever is heard spends all announcements that wait, so
of several calls at once the first is announced, and speaks for all.

How it is said depends on the service. `reply.create` has it said in the agent's own
voice, between two replies. The local voice says it where the service takes no
`reply.create`, and into a reply that is under way and silent.
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
# Samples below 256 of 32767 (-42 dBFS) have a high byte of nought, or of all ones.
_QUIET_HIGH_BYTES = b"\x00\xff"
# How services answer a message that they do not know; and with codes of their own.
_REFUSALS = {"invalid_format", "invalid_value"}


def is_audible(pcm: bytes) -> bool:
    """Whether anybody could hear this PCM16 sound: some sample is above -42 dBFS."""
    return bool(pcm[1::2].strip(_QUIET_HIGH_BYTES))


@dataclass(slots=True)
class _Waiting:
    call_id: str
    text: str
    due: float
    is_voiced: bool = False  # the local voice has been asked for it
    pcm: bytes = b""  # what the local voice made of it


class Announcements:
    """The announcements of one call's tools; owned by its conversation."""

    def __init__(self, timers: Timers, dialogue: TurnManager, by: AnnounceBy) -> None:
        self._timers = timers
        self._dialogue = dialogue
        self._by = by
        self._waiting: dict[str, _Waiting] = {}  # by call, in the order of the calls
        self._asked: _Waiting | None = None  # what reply.create was last sent for
        self._heard_until = 0.0  # when the last audible sound will have been played

    def begin(self, call_id: str, now: float) -> list[Action]:
        """A tool has begun to run."""
        call = self._dialogue.calls.find(call_id)
        text = None if call is None else call.rules.announce
        if not text:
            return []
        waiting = _Waiting(call_id, text, now + ANNOUNCE_SECONDS)
        self._waiting[call_id] = waiting
        may_need_voice = self._by == "voice" or (
            self._by == "either" and self._dialogue.turn is Floor.AGENT
        )
        return self._voice(waiting) if may_need_voice else []

    def hear(self, pcm: bytes, until: float) -> None:
        """The agent says something that will have been played by then."""
        if is_audible(pcm):
            self._heard_until = until
            self._spend()

    def hush(self) -> None:
        """The caller speaks, or nobody is there to be spoken to."""
        self._heard_until = 0.0
        self._spend()

    def take_sound(self, call_id: str, pcm: bytes) -> None:
        """The local voice has said an announcement; without sound it could not."""
        waiting = self._waiting.get(call_id)
        if waiting is not None:
            waiting.pcm = pcm

    def refuse(self, code: str, now: float) -> list[Action]:
        """The service reports an error, perhaps of an announcement's reply.create."""
        is_known = rule_for_error(code) is not UNKNOWN_ERROR
        if not self._is_awaited or (is_known and code.lower() not in _REFUSALS):
            return []
        if self._asked is not None and self._by == "either":
            self._waiting = {self._asked.call_id: self._asked, **self._waiting}
        actions = self.give_up_asking()
        if self._dialogue.expectation.is_announcement:
            self._dialogue.expectation.close()
        return actions + self._dialogue.send_results(now)

    def give_up_asking(self) -> list[Action]:
        """The service does not take reply.create: use the local voice from here on."""
        self._asked = None
        if self._by != "either":
            return []
        self._by = "voice"
        return [Notify("the service says no announcements: the local voice does")]

    def look(self, now: float) -> list[Action]:
        """Say what is due, if it may be said now; called after every event."""
        if not self._waiting:
            return []
        first = self._first()
        if first is None:
            self._spend()
            return []
        if first.due > now:
            self._timers.set(Timer.ANNOUNCE, first.due)
            return []
        if self._heard_until > now:
            self._spend()  # the agent has said something itself, just before the call
            return []
        return self._say(first, now)

    @property
    def _is_awaited(self) -> bool:
        """Whether the service was asked to announce, and has not been heard."""
        if self._dialogue.expectation.is_announcement:
            return True
        reply = self._dialogue.reply
        return reply is not None and reply.is_announcement and reply.awaits_sound

    def _first(self) -> _Waiting | None:
        """Return the first whose tool runs, and forget those before it."""
        while self._waiting:
            call_id, waiting = next(iter(self._waiting.items()))
            call = self._dialogue.calls.find(call_id)
            if call is not None and call.state is CallState.RUNNING:
                return waiting
            del self._waiting[call_id]
        return None

    def _say(self, first: _Waiting, now: float) -> list[Action]:
        turn, expectation = self._dialogue.turn, self._dialogue.expectation
        if turn is Floor.USER or expectation.is_open:
            return []
        if self._dialogue.farewell is not HangUpState.NONE:
            return []
        if self._by != "voice" and turn is Floor.IDLE:
            self._spend()
            self._asked = first
            expectation.expect_announcement(now)
            return [Send(ReplyCreate(say_verbatim(first.text)))]
        if self._by == "reply":
            return []
        if first.pcm:
            self._spend()
            return [Announce(first.text), Play(first.pcm)]
        return self._voice(first)

    def _spend(self) -> None:
        self._waiting.clear()
        self._timers.clear(Timer.ANNOUNCE)

    @staticmethod
    def _voice(waiting: _Waiting) -> list[Action]:
        if waiting.is_voiced:
            return []
        waiting.is_voiced = True
        return [Synthesize(waiting.call_id, waiting.text)]


# What the agent is made to say on our account, while nobody else has the word: that the
# caller is quiet, that the call ends in a minute.
#
# Both are said only when nobody owes anybody anything; a remark that becomes due
# earlier waits. The quiet of a caller is counted from the end of the last sound on
# either side, and our own remarks do not end it.


LAST_MINUTE_SECONDS = 60.0
STILL_THERE = "Ask the caller in one short sentence whether they are still there."


def remark_verbatim(line: str) -> str:
    """Return the instruction to say a line as it stands."""
    return f'Say exactly this and nothing else: "{line}"'


class IdlePrompter:
    """Times remarks; its methods return the instruction to be followed, if any."""

    def __init__(
        self, timers: Timers, idle: IdlePolicy, one_minute_left: str | None
    ) -> None:
        self._timers = timers
        self._idle = idle
        self._one_minute_left = one_minute_left
        self._due: deque[str] = deque()
        self._is_quiet = False  # nobody owes anybody anything
        self._is_ours = False  # the reply that is awaited or under way is a remark

    def begin(self, now: float, max_duration: float | None) -> None:
        """The call begins."""
        if self._one_minute_left is not None and max_duration is not None:
            wait = max_duration - LAST_MINUTE_SECONDS
            if wait > 0:
                self._timers.set(Timer.LAST_MINUTE, now + wait)

    def stir(self) -> None:
        """The caller speaks: not idle any more."""
        self._is_quiet = self._is_ours = False
        self._timers.clear(Timer.NUDGE, Timer.IDLE)

    def look(self, is_settled: bool, quiet_from: float) -> str | None:
        """Take note of the state of things after an event."""
        if not is_settled:
            if self._is_quiet and not self._is_ours:
                self.stir()
            self._is_quiet = False
            return None
        if self._is_quiet:
            return None
        self._is_quiet = True
        was_ours, self._is_ours = self._is_ours, False
        if self._due:
            return self._remark()
        if not was_ours:
            self._count_from(quiet_from)
        return None

    def last_minute(self) -> str | None:
        """The last minute begins."""
        if self._one_minute_left is None:
            return None
        self._due.append(remark_verbatim(self._one_minute_left))
        return self._remark() if self._is_quiet else None

    def nudge(self) -> str | None:
        """The caller has been quiet for long."""
        say = self._idle.say
        self._due.append(STILL_THERE if say is None else remark_verbatim(say))
        return self._remark() if self._is_quiet else None

    def _remark(self) -> str:
        self._is_quiet, self._is_ours = False, True
        return self._due.popleft()

    def _count_from(self, quiet_from: float) -> None:
        if self._idle.nudge_after is not None:
            self._timers.set(Timer.NUDGE, quiet_from + self._idle.nudge_after)
        if self._idle.end_after is not None:
            self._timers.set(Timer.IDLE, quiet_from + self._idle.end_after)
