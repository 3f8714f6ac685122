"""Who holds the floor, and what that means for sound and for tool calls.

| turn  | set by               | sound is played | results are sent           |
|-------|----------------------|-----------------|----------------------------|
| USER  | input.speech.started | no              | held                       |
| AGENT | reply.started        | yes             | held                       |
| IDLE  | reply.done           | no              | at once, in order of calls |

An interrupted reply takes its calls with it. A reply that was interrupted while the
caller still speaks leaves the floor to the caller; if no reply follows (it was a
cough), the floor falls free after a while. Nothing is waited for without end: what does
not come, or starts and is not heard, is asked for once more, and then given up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from runner.protocol.client.actions import (
    Action,
    CancelTool,
    Notify,
    Play,
    RunTool,
    Send,
    StopPlayback,
)
from runner.protocol.client.config import Timeouts
from runner.protocol.client.timers import CONVERSATIONAL, Timer, Timers
from runner.protocol.client.tool_calls import (
    CallState,
    PendingToolCall,
    ToolCallTable,
    ToolPolicy,
)
from runner.protocol.messages import (
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyCreate,
    ReplyDone,
    ReplyError,
    ReplyStarted,
    ServerMessage,
    ToolCall,
    TranscriptAgent,
    TranscriptAgentDelta,
)

# How long the agent may take for its last words after it asked to hang up silently.
GOODBYE_SECONDS = 8.0

_SPOKE_ON = '{"error":"the caller spoke again, so the call goes on"}'
_LINE_LOST = '{"error":"the line dropped before the goodbye, so the call goes on"}'
_NO_END = '{"error":"the reply never ended, so the call goes on"}'


class TurnManager:
    """Floor and calls of one session; fed by `Conversation` while it is live."""

    def __init__(
        self,
        timers: Timers,
        tools: Mapping[str, ToolPolicy],
        patience: Timeouts,
        *,
        immediate_results: bool = False,
    ) -> None:
        self.turn = Floor.IDLE
        self.farewell = HangUpState.NONE
        self.calls = ToolCallTable()
        self.tools = tools
        self.reply: Reply | None = None  # None between replies
        self._last_reply: Reply | None = None
        self.expectation = PendingReply(timers, patience)
        self._timers = timers
        self._patience = patience
        self._immediate_results = immediate_results

    @property
    def is_settled(self) -> bool:
        """Whether nobody owes anybody anything: the caller may speak undisturbed."""
        return (
            self.turn is Floor.IDLE
            and not self.expectation.is_open
            and not self.calls.any_open
            and self.farewell is HangUpState.NONE
        )

    @property
    def is_announcing(self) -> bool:
        """Whether the reply under way only says that a tool runs."""
        return self.reply is not None and self.reply.is_announcement

    def receive(self, message: ServerMessage, now: float) -> list[Action]:
        """Handle a message of the live conversation."""
        match message:
            case ReplyAudio():
                return self.play(message, now)
            case InputSpeechStarted():
                return self._speech_started()
            case InputSpeechStopped():
                self.expectation.expect(now)
                return self.send_results(now)
            case ReplyStarted():
                return self._reply_started(message, now)
            case TranscriptAgentDelta(delta=text) | TranscriptAgent(text=text):
                self._words(text, message.reply_id)
            case ReplyDone():
                return self._reply_done(message, now)
            case ToolCall():
                return self._tool_call(message, now)
            case ReplyError(code=code, message=text, retryable=retryable):
                if self.reply is not None:
                    self.reply.failed = retryable
                return [Notify(f"the agent could not reply: {text or code}")]
            case _:
                pass
        return []

    def play(self, message: ReplyAudio, now: float) -> list[Action]:
        """Play sound, if it belongs to the reply under way."""
        reply = self.reply
        if self.turn is not Floor.AGENT or reply is None:
            return []
        if message.reply_id and reply.reply_id and message.reply_id != reply.reply_id:
            return []
        reply.heard_at = now
        return [Play(message.pcm)]

    def give_up_waiting(self, now: float) -> list[Action]:
        """No reply came: ask for it, or free the floor."""
        match self.turn:
            case Floor.AGENT:
                # One has begun: `give_up_listening` watches over it.
                self.expectation.close()
                return []
            case Floor.IDLE:
                asked = self.expectation.expire(now)
                if asked is not None:
                    return asked
            case Floor.USER:
                self.turn = Floor.IDLE
        return [*self.expectation.give_up(), *self.send_results(now)]

    def give_up_listening(self, now: float) -> list[Action]:
        """The reply under way has given no sound for a while, nor has it ended."""
        reply = self.reply
        if self.turn is not Floor.AGENT or reply is None:
            return []
        patience = self._patience.sound
        if reply.heard_at is not None and reply.heard_at + patience > now:
            self._timers.set(Timer.SOUND, reply.heard_at + patience)
            return []
        is_final = self.is_announcing or self.expectation.was_asked_again
        if reply.awaits_sound and not is_final:
            self._timers.set(Timer.SOUND, now + patience)
            why = "the agent began a reply that is not heard"
            return self.expectation.ask_again(why, now)
        self.turn, self.reply = Floor.IDLE, None
        self.calls.fail_terminal(CallState.WAITING, _NO_END)
        text = "the agent's reply never ended: going on without its end"
        return [Notify(text), *self.expectation.give_up(), *self.send_results(now)]

    def tool_finished(
        self, call_id: str, text: str, is_error: bool, now: float
    ) -> list[Action]:
        """Hold or send the result of a call."""
        call = self.calls.finish(call_id, text, is_error)
        if call is None:
            return []
        if call.rules.terminal and not is_error:
            return self._terminal_finished(call, now)
        return self.send_results(now)

    def send_results(self, now: float) -> list[Action]:
        """Send held results if the floor is free (or results need not wait)."""
        if self.turn is not Floor.IDLE and not self._immediate_results:
            return []
        if self.expectation.is_announcement and not self._immediate_results:
            return []
        if self.farewell is HangUpState.SAID:
            return []
        results = self.calls.take_results()
        if results:
            self.expectation.expect(now, owed=True)
        return [Send(result) for result in results]

    def stop_reply(self) -> list[Action]:
        """Cut the agent off; what still comes of its reply is dead."""
        self.turn = Floor.USER
        self._timers.clear(Timer.SOUND)
        return [StopPlayback()]

    def lose_line(self, unsent: Iterable[str] = ()) -> list[Action]:
        """Cut the sound and keep the calls: they are answered after a resume.

        `unsent` are the calls whose results never left this machine.
        """
        self.turn = Floor.IDLE
        self.reply = None
        self.farewell = HangUpState.NONE
        self.expectation.close()
        self.expectation.hear()
        self.calls.reopen(unsent)
        self.calls.doubt()
        self.calls.fail_terminal(CallState.WAITING, _LINE_LOST)
        self._timers.clear(*CONVERSATIONAL)
        return [StopPlayback()]

    def forget_calls(self) -> list[Action]:
        """Drop every call: the session that asked is gone."""
        self.farewell = HangUpState.NONE
        self._timers.clear(Timer.GOODBYE)
        return [CancelTool(call.message.call_id) for call in self.calls.forget()]

    # ------------------------------------------------------------ messages

    def _speech_started(self) -> list[Action]:
        self.expectation.close()
        self.expectation.hear()
        self._timers.clear(Timer.GOODBYE)
        if self.farewell is not HangUpState.NONE:
            self.farewell = HangUpState.NONE
            self.calls.fail_terminal(CallState.FINISHED, _SPOKE_ON)
        return self.stop_reply()

    def _reply_started(self, message: ReplyStarted, now: float) -> list[Action]:
        dead = self.reply if self.turn is Floor.USER else None
        self.turn = Floor.AGENT
        self.reply = Reply(message.reply_id, self.expectation.is_announcement)
        self.calls.acknowledge()
        self.expectation.close()
        self._timers.set(Timer.SOUND, now + self._patience.sound)
        # An interrupted reply whose reply.done never came takes its calls with it.
        return [] if dead is None else self._forget_reply(dead.reply_id)

    def _words(self, text: str, reply_id: str) -> None:
        if self.turn is Floor.AGENT and self.reply is not None:
            self.reply.note_words(text, reply_id)

    def _tool_call(self, message: ToolCall, now: float) -> list[Action]:
        reply_id = "" if self.reply is None else self.reply.reply_id
        if self.turn is Floor.USER and self.reply is not None:
            # The reply that asked was interrupted a moment ago: its calls never run.
            self.calls.refuse(message, reply_id)
            return []
        rules = self.tools.get(message.name, ToolPolicy())
        if self.calls.begin(message, reply_id, rules) is None:
            return self.send_results(now)  # perhaps it asks again for an answer
        if not rules.terminal:
            return [RunTool(message)]
        # It waits for the end of its reply; one that comes after that runs at once.
        return self._run_waiting() if self.turn is Floor.IDLE else []

    def _reply_done(self, message: ReplyDone, now: float) -> list[Action]:
        reply, own_id = self.reply, "" if self.reply is None else self.reply.reply_id
        reply_id = message.reply_id or own_id
        interrupted = message.status == "interrupted"
        actions = self._forget_reply(reply_id) if interrupted else []
        if own_id not in ("", reply_id):
            return actions  # a straggler: another reply is under way
        was_announcing = self.is_announcing
        self._last_reply, self.reply = reply, None
        if self.turn is Floor.USER:
            if not interrupted:
                # Its sound was cut, yet it counts as said: it may not hang up.
                self.calls.fail_terminal(CallState.WAITING, _SPOKE_ON)
            return actions
        self.turn = Floor.IDLE
        self._timers.clear(Timer.SOUND)
        if interrupted:
            return [StopPlayback(), *actions, *self.send_results(now)]
        if self.farewell is HangUpState.OWED and not was_announcing:
            self.farewell = HangUpState.SAID
            return []
        return self._reply_completed(reply, now)

    def _reply_completed(self, reply: Reply | None, now: float) -> list[Action]:
        actions = [*self._run_waiting(), *self.send_results(now)]
        if reply is not None and reply.heard_at is not None:
            self.expectation.hear()
            return actions
        if reply is None or not reply.failed or reply.is_announcement or actions:
            return actions
        if self.expectation.was_asked_again:
            return []
        return self.expectation.ask_again("the service may do better", now)

    def _forget_reply(self, reply_id: str) -> list[Action]:
        return [
            CancelTool(call.message.call_id)
            for call in self.calls.forget(reply_id)
            if call.rules.on_interrupt == "cancel"
        ]

    def _run_waiting(self) -> list[Action]:
        actions: list[Action] = []
        last = self._last_reply
        for call in self.calls:
            if call.state is CallState.WAITING:
                call.state = CallState.RUNNING
                call.spoke = last is not None and last.spoke
                actions.append(RunTool(call.message))
        return actions

    def _terminal_finished(self, call: PendingToolCall, now: float) -> list[Action]:
        if call.spoke:
            self.farewell = HangUpState.SAID
            return []
        actions = self.send_results(now)
        self.farewell = HangUpState.OWED
        self._timers.set(Timer.GOODBYE, now + GOODBYE_SECONDS)
        return actions


# Who has the word, and how far the last words have come.


class Floor(Enum):
    """Who holds the floor."""

    USER = auto()
    AGENT = auto()
    IDLE = auto()


class HangUpState(Enum):
    """How far the agent's own wish to hang up has come."""

    NONE = auto()
    OWED = auto()  # it asked to hang up without a word; its next reply is the goodbye
    SAID = auto()  # the goodbye is said; hang up when it has been heard


@dataclass(slots=True)
class Reply:
    """A reply under way, also when it is interrupted and not yet done."""

    reply_id: str  # "" where the service gives none
    is_announcement: bool = False  # it was asked for to say that a tool runs
    spoke: bool = False  # whether it had words
    heard_at: float | None = None  # when it last gave sound
    failed: bool = False  # whether the service could not make it, but might if asked

    @property
    def awaits_sound(self) -> bool:
        """Whether it has given no sound yet."""
        return self.heard_at is None

    def note_words(self, text: str, reply_id: str) -> None:
        """Take note of words that the service sent, if they are this reply's."""
        if text.strip() and reply_id in ("", self.reply_id):
            self.spoke = True


# A reply that is awaited: how long, and what is done when it does not come.
#
# A reply that is owed (to typed words, to results, to a request of ours) is asked for
# once more with `reply.create`. One that only may come, because the caller made a
# sound, is not: it may have been a cough. Nor is an announcement: it would come too
# late.


# How long after the caller's turn a reply may take before the floor counts as free.
FLOOR_SECONDS = 10.0
# How long a session that is back may take to begin the reply that it owed.
TAKEN_UP_SECONDS = 3.0
# How long an announcement may take to begin: results that come meanwhile wait for it.
ANNOUNCEMENT_SECONDS = 3.0


class PendingReply:
    """At most one awaited reply; owned by the dialogue."""

    def __init__(self, timers: Timers, patience: Timeouts) -> None:
        self.is_open = False
        self.is_owed = False  # whether it has been asked for
        self.is_announcement = False  # whether it is asked for to announce a call
        self.was_asked_again = False  # once is enough, until something is heard
        self._timers = timers
        self._patience = patience

    def expect(self, now: float, *, owed: bool = False) -> None:
        """Await a reply from now on."""
        self.is_open = True
        self.is_owed, self.is_announcement = owed, False
        wait = self._patience.reply if owed else FLOOR_SECONDS
        self._timers.set(Timer.FLOOR, now + wait)

    def expect_announcement(self, now: float) -> None:
        """Await the announcement of a call; results wait for its end."""
        self.expect(now)
        self.is_announcement = True
        self._timers.set(Timer.FLOOR, now + ANNOUNCEMENT_SECONDS)

    def take_up(self, now: float) -> None:
        """A session is back that owed a reply when it was lost.

        What asked for the reply may have been lost with the line, so the reply is
        asked for again soon.
        """
        self.expect(now, owed=True)
        self._timers.set(Timer.FLOOR, now + min(TAKEN_UP_SECONDS, self._patience.reply))

    def close(self) -> None:
        """Await nothing: the reply has begun, or somebody else has the word."""
        self.is_open = self.is_owed = self.is_announcement = False
        self._timers.clear(Timer.FLOOR)

    def hear(self) -> None:
        """The agent is heard, or the caller: whatever failed before is over."""
        self.was_asked_again = False

    def expire(self, now: float) -> list[Action] | None:
        """The reply did not come: ask for it, or (None) there is nothing to ask."""
        if self.is_owed and not self.was_asked_again:
            return self.ask_again("no answer came", now)
        return None

    def give_up(self) -> list[Action]:
        """Await it no longer."""
        was_owed = self.is_owed
        self.close()
        return [Notify("the agent does not answer")] if was_owed else []

    def ask_again(self, why: str, now: float) -> list[Action]:
        """Ask for a reply once more."""
        self.was_asked_again = True
        self.expect(now, owed=True)
        return [Notify(f"{why}: asking once more"), Send(ReplyCreate())]
