"""Turn-taking on the client side: the floor, the pending reply and the tool calls.

| floor | set by               | audio is played | results are sent           |
|-------|----------------------|-----------------|----------------------------|
| USER  | input.speech.started | no              | held                       |
| AGENT | reply.started        | yes             | held                       |
| IDLE  | reply.done           | no              | at once, in order of calls |

A tool call outside a reply, after the caller's turn has ended, frees the floor: the
service waits for its result. An interrupted reply cancels its tool calls. If the caller
interrupts a reply, the floor stays with the caller; if no reply follows (it was a
cough), it becomes free after a timeout. A reply that does not start, or starts without
audio, is requested once more and then given up.
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

# Limit for the agent's goodbye after it hung up without one.
GOODBYE_SECONDS = 8.0

_SPOKE_ON = '{"error":"the caller spoke again, so the call goes on"}'
_LINE_LOST = '{"error":"the line dropped before the goodbye, so the call goes on"}'
_NO_END = '{"error":"the reply never ended, so the call goes on"}'


class TurnManager:
    """Floor and tool calls of a session; fed by `Conversation` while it is live."""

    def __init__(
        self,
        timers: Timers,
        tools: Mapping[str, ToolPolicy],
        timeouts: Timeouts,
        *,
        immediate_results: bool = False,
    ) -> None:
        self.turn = Floor.IDLE
        self.hang_up_state = HangUpState.NONE
        self.calls = ToolCallTable()
        self.tools = tools
        self.reply: Reply | None = None  # None between replies
        self._last_reply: Reply | None = None
        self.pending_reply = PendingReply(timers, timeouts)
        self._timers = timers
        self._timeouts = timeouts
        self._immediate_results = immediate_results

    @property
    def is_settled(self) -> bool:
        """True if no reply, tool call or hang-up is pending."""
        return (
            self.turn is Floor.IDLE
            and not self.pending_reply.is_open
            and not self.calls.any_open
            and self.hang_up_state is HangUpState.NONE
        )

    @property
    def is_announcing(self) -> bool:
        """True if the reply in progress is an announcement of a tool call."""
        return self.reply is not None and self.reply.is_announcement

    def receive(self, message: ServerMessage, now: float) -> list[Action]:
        """Handles a message while the session is live."""
        match message:
            case ReplyAudio():
                return self.play(message, now)
            case InputSpeechStarted():
                return self._speech_started()
            case InputSpeechStopped():
                self.pending_reply.expect(now)
                return self.send_results(now)
            case ReplyStarted():
                return self._reply_started(message, now)
            case TranscriptAgentDelta(delta=text) | TranscriptAgent(text=text):
                self._note_transcript(text, message.reply_id)
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
        """Plays audio if it belongs to the reply in progress."""
        reply = self.reply
        if self.turn is not Floor.AGENT or reply is None:
            return []
        if message.reply_id and reply.reply_id and message.reply_id != reply.reply_id:
            return []
        reply.last_audio_at = now
        return [Play(message.pcm)]

    def reply_timed_out(self, now: float) -> list[Action]:
        """Requests a reply that did not start, or frees the floor."""
        match self.turn:
            case Floor.AGENT:
                # One has begun: `reply_audio_timed_out` handles it.
                self.pending_reply.close()
                return []
            case Floor.IDLE:
                asked = self.pending_reply.expire(now)
                if asked is not None:
                    return asked
            case Floor.USER:
                self.turn = Floor.IDLE
        return [*self.pending_reply.give_up(), *self.send_results(now)]

    def reply_audio_timed_out(self, now: float) -> list[Action]:
        """Handles a reply that has no audio for a while and does not end."""
        reply = self.reply
        if self.turn is not Floor.AGENT or reply is None:
            return []
        seconds = self._timeouts.sound
        if reply.last_audio_at is not None and reply.last_audio_at + seconds > now:
            self._timers.set(Timer.REPLY_AUDIO, reply.last_audio_at + seconds)
            return []
        is_final = self.is_announcing or self.pending_reply.was_asked_again
        if reply.awaits_audio and not is_final:
            self._timers.set(Timer.REPLY_AUDIO, now + seconds)
            why = "the agent began a reply that is not heard"
            return self.pending_reply.ask_again(why, now)
        self.turn, self.reply = Floor.IDLE, None
        self.calls.fail_terminal(CallState.WAITING, _NO_END)
        text = "the agent's reply never ended: going on without its end"
        return [Notify(text), *self.pending_reply.give_up(), *self.send_results(now)]

    def tool_finished(
        self, call_id: str, text: str, is_error: bool, now: float
    ) -> list[Action]:
        """Holds or sends the result of a tool call."""
        call = self.calls.finish(call_id, text, is_error)
        if call is None:
            return []
        if call.policy.terminal and not is_error:
            return self._terminal_finished(call, now)
        return self.send_results(now)

    def send_results(self, now: float) -> list[Action]:
        """Sends held results if the floor is free (or results need not wait)."""
        if self.turn is not Floor.IDLE and not self._immediate_results:
            return []
        if self.pending_reply.is_announcement and not self._immediate_results:
            return []
        if self.hang_up_state is HangUpState.SAID:
            return []
        results = self.calls.take_results()
        if results:
            self.pending_reply.expect(now, owed=True)
        return [Send(result) for result in results]

    def stop_reply(self) -> list[Action]:
        """Stops playback; the rest of the reply is ignored."""
        self.turn = Floor.USER
        self._timers.clear(Timer.REPLY_AUDIO)
        return [StopPlayback()]

    def connection_lost(self, unsent: Iterable[str] = ()) -> list[Action]:
        """Stops playback and keeps the tool calls: they are answered after a resume.

        `unsent` are the ids of calls whose results never left this machine.
        """
        self.turn = Floor.IDLE
        self.reply = None
        self.hang_up_state = HangUpState.NONE
        self.pending_reply.close()
        self.pending_reply.reset_retry()
        self.calls.reopen(unsent)
        self.calls.mark_unconfirmed()
        self.calls.fail_terminal(CallState.WAITING, _LINE_LOST)
        self._timers.clear(*CONVERSATIONAL)
        return [StopPlayback()]

    def forget_calls(self) -> list[Action]:
        """Drops all tool calls: the session that made them is lost."""
        self.hang_up_state = HangUpState.NONE
        self._timers.clear(Timer.GOODBYE)
        return [CancelTool(call.message.call_id) for call in self.calls.forget()]

    # ------------------------------------------------------------ messages

    def _speech_started(self) -> list[Action]:
        self.pending_reply.close()
        self.pending_reply.reset_retry()
        self._timers.clear(Timer.GOODBYE)
        if self.hang_up_state is not HangUpState.NONE:
            self.hang_up_state = HangUpState.NONE
            self.calls.fail_terminal(CallState.FINISHED, _SPOKE_ON)
        return self.stop_reply()

    def _reply_started(self, message: ReplyStarted, now: float) -> list[Action]:
        interrupted = self.reply if self.turn is Floor.USER else None
        self.turn = Floor.AGENT
        self.reply = Reply(message.reply_id, self.pending_reply.is_announcement)
        self.calls.acknowledge()
        self.pending_reply.close()
        self._timers.set(Timer.REPLY_AUDIO, now + self._timeouts.sound)
        # An interrupted reply without reply.done cancels its tool calls now.
        return [] if interrupted is None else self._forget_reply(interrupted.reply_id)

    def _note_transcript(self, text: str, reply_id: str) -> None:
        if self.turn is Floor.AGENT and self.reply is not None:
            self.reply.note_transcript(text, reply_id)

    def _tool_call(self, message: ToolCall, now: float) -> list[Action]:
        reply_id = "" if self.reply is None else self.reply.reply_id
        if self.turn is Floor.USER and self.reply is not None:
            # The reply was just interrupted: its tool calls do not run.
            self.calls.refuse(message, reply_id)
            return []
        if self.turn is Floor.USER and self.pending_reply.is_open:
            # The caller's turn has ended, and the service waits for the result before
            # it begins to reply.
            self.turn = Floor.IDLE
        policy = self.tools.get(message.name, ToolPolicy())
        if self.calls.begin(message, reply_id, policy) is None:
            return self.send_results(now)  # it may be a repeated request
        if not policy.terminal:
            return [RunTool(message)]
        # A terminal call waits for the end of its reply, or runs at once after it.
        return self._run_waiting() if self.turn is Floor.IDLE else []

    def _reply_done(self, message: ReplyDone, now: float) -> list[Action]:
        reply, own_id = self.reply, "" if self.reply is None else self.reply.reply_id
        reply_id = message.reply_id or own_id
        interrupted = message.status == "interrupted"
        actions = self._forget_reply(reply_id) if interrupted else []
        if own_id not in ("", reply_id):
            return actions  # late: another reply is in progress
        was_announcing = self.is_announcing
        self._last_reply, self.reply = reply, None
        if self.turn is Floor.USER:
            if not interrupted:
                # Completed, but its audio was cut: its terminal call does not run.
                self.calls.fail_terminal(CallState.WAITING, _SPOKE_ON)
            return actions
        self.turn = Floor.IDLE
        self._timers.clear(Timer.REPLY_AUDIO)
        if interrupted:
            return [StopPlayback(), *actions, *self.send_results(now)]
        if self.hang_up_state is HangUpState.OWED and not was_announcing:
            self.hang_up_state = HangUpState.SAID
            return []
        return self._reply_completed(reply, now)

    def _reply_completed(self, reply: Reply | None, now: float) -> list[Action]:
        actions = [*self._run_waiting(), *self.send_results(now)]
        if reply is not None and reply.last_audio_at is not None:
            self.pending_reply.reset_retry()
            return actions
        if reply is None or not reply.failed or reply.is_announcement or actions:
            return actions
        if self.pending_reply.was_asked_again:
            return []
        return self.pending_reply.ask_again("the service may do better", now)

    def _forget_reply(self, reply_id: str) -> list[Action]:
        return [
            CancelTool(call.message.call_id)
            for call in self.calls.forget(reply_id)
            if call.policy.on_interrupt == "cancel"
        ]

    def _run_waiting(self) -> list[Action]:
        last = self._last_reply
        spoke = last is not None and last.spoke
        waiting = self.calls.run_waiting(spoke=spoke)
        return [RunTool(call.message) for call in waiting]

    def _terminal_finished(self, call: PendingToolCall, now: float) -> list[Action]:
        if call.spoke:
            self.hang_up_state = HangUpState.SAID
            return []
        actions = self.send_results(now)
        self.hang_up_state = HangUpState.OWED
        self._timers.set(Timer.GOODBYE, now + GOODBYE_SECONDS)
        return actions


class Floor(Enum):
    """Who holds the floor."""

    USER = auto()
    AGENT = auto()
    IDLE = auto()


class HangUpState(Enum):
    """Progress of a hang-up by the agent."""

    NONE = auto()
    OWED = auto()  # hung up without words; the next reply is the goodbye
    SAID = auto()  # the goodbye is complete; hang up after playback


@dataclass(slots=True)
class Reply:
    """A reply that has started and is not done; it may be interrupted."""

    reply_id: str  # "" if the service sends none
    is_announcement: bool = False  # announces a tool call
    spoke: bool = False  # has a transcript
    last_audio_at: float | None = None
    failed: bool = False  # with an error that may not occur again

    @property
    def awaits_audio(self) -> bool:
        """True if it has no audio yet."""
        return self.last_audio_at is None

    def note_transcript(self, text: str, reply_id: str) -> None:
        """Records that this reply has words, if the transcript is of this reply."""
        if text.strip() and reply_id in ("", self.reply_id):
            self.spoke = True


# The pending reply.
#
# A reply to typed text, to tool results or to a request of the client is requested once
# more with `reply.create` if it does not start. A reply to speech is not, because the
# speech may have been a cough. An announcement is not, because it would be too late.


# After this time without a reply to the caller's turn, the floor counts as free.
FLOOR_SECONDS = 10.0
# Limit for a resumed session to start a reply that was pending.
RESUMED_REPLY_SECONDS = 3.0
# Limit for the start of an announcement: tool results wait for it.
ANNOUNCEMENT_SECONDS = 3.0


class PendingReply:
    """The reply that is awaited, if any; owned by `TurnManager`."""

    def __init__(self, timers: Timers, timeouts: Timeouts) -> None:
        self.is_open = False
        self.is_owed = False  # requested, not only expected
        self.is_announcement = False
        self.was_asked_again = False  # at most once until the agent or caller speaks
        self._timers = timers
        self._timeouts = timeouts

    def expect(self, now: float, *, owed: bool = False) -> None:
        """Starts to await a reply."""
        self.is_open = True
        self.is_owed, self.is_announcement = owed, False
        wait = self._timeouts.reply if owed else FLOOR_SECONDS
        self._timers.set(Timer.FLOOR, now + wait)

    def expect_announcement(self, now: float) -> None:
        """Starts to await an announcement; tool results wait for its end."""
        self.expect(now)
        self.is_announcement = True
        self._timers.set(Timer.FLOOR, now + ANNOUNCEMENT_SECONDS)

    def resume(self, now: float) -> None:
        """Awaits the reply that was pending when the connection dropped.

        Its request may have been lost, so the timeout is short.
        """
        self.expect(now, owed=True)
        self._timers.set(
            Timer.FLOOR, now + min(RESUMED_REPLY_SECONDS, self._timeouts.reply)
        )

    def close(self) -> None:
        """Stops to await a reply: it has started, or the caller speaks."""
        self.is_open = self.is_owed = self.is_announcement = False
        self._timers.clear(Timer.FLOOR)

    def reset_retry(self) -> None:
        """Allows another retry: the agent or the caller has spoken."""
        self.was_asked_again = False

    def expire(self, now: float) -> list[Action] | None:
        """Requests a reply that did not start; None if no request is due."""
        if self.is_owed and not self.was_asked_again:
            return self.ask_again("no answer came", now)
        return None

    def give_up(self) -> list[Action]:
        """Stops to await the reply; reports it if it was requested."""
        was_owed = self.is_owed
        self.close()
        return [Notify("the agent does not answer")] if was_owed else []

    def ask_again(self, why: str, now: float) -> list[Action]:
        """Requests a reply once more."""
        self.was_asked_again = True
        self.expect(now, owed=True)
        return [Notify(f"{why}: asking once more"), Send(ReplyCreate())]
