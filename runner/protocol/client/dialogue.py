"""Who holds the floor, and what that means for sound and for tool calls.

| turn  | set by               | sound is played | results are sent           |
|-------|----------------------|-----------------|----------------------------|
| USER  | input.speech.started | no              | held                       |
| AGENT | reply.started        | yes             | held                       |
| IDLE  | reply.done           | no              | at once, in order of calls |

An interrupted reply takes its calls with it. A reply that was interrupted while the
caller still speaks leaves the floor to the caller; if no reply follows (it was a
cough), the floor falls free after `FLOOR_SECONDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
from runner.protocol.client.calls import Call, CallBook, CallRules, CallState
from runner.protocol.client.timers import Timer, Timers
from runner.protocol.messages import (
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyDone,
    ReplyError,
    ReplyStarted,
    ServerMessage,
    ToolCall,
    TranscriptAgent,
    TranscriptAgentDelta,
)

# How long after the caller's turn a reply may take before the floor counts as free.
FLOOR_SECONDS = 10.0
# How long the agent may take for its last words after it asked to hang up silently.
GOODBYE_SECONDS = 8.0

_SPOKE_ON = '{"error":"the caller spoke again, so the call goes on"}'
_LINE_LOST = '{"error":"the line dropped before the goodbye, so the call goes on"}'


class Turn(Enum):
    """Who holds the floor."""

    USER = auto()
    AGENT = auto()
    IDLE = auto()


class Farewell(Enum):
    """How far the agent's own wish to hang up has come."""

    NONE = auto()
    OWED = auto()  # it asked to hang up without a word; its next reply is the goodbye
    SAID = auto()  # the goodbye is said; hang up when it has been heard


@dataclass(slots=True)
class Dialogue:
    """The conversation of one session; fed by `ClientSession` while it is live."""

    timers: Timers
    tools: Mapping[str, CallRules] = field(default_factory=dict)
    immediate_results: bool = False
    turn: Turn = Turn.IDLE
    farewell: Farewell = Farewell.NONE
    # Whether a reply is on its way: to the caller, to results, or the greeting.
    reply_expected: bool = False
    calls: CallBook = field(default_factory=CallBook)
    # The reply under way (without an id: ""), also when it is interrupted and not yet
    # done; None between replies.
    reply_id: str | None = None
    spoke: bool = False  # whether the current reply had words

    @property
    def is_settled(self) -> bool:
        """Whether nobody owes anybody anything: the caller may speak undisturbed."""
        return (
            self.turn is Turn.IDLE
            and not self.reply_expected
            and not self.calls.any_open
            and self.farewell is Farewell.NONE
        )

    def receive(self, message: ServerMessage, now: float) -> list[Action]:
        """Handle a message of the live conversation."""
        match message:
            case ReplyAudio():
                return self._reply_audio(message)
            case InputSpeechStarted():
                return self._speech_started()
            case InputSpeechStopped():
                self.expect_reply(now)
            case ReplyStarted():
                return self._reply_started(message)
            case TranscriptAgentDelta() | TranscriptAgent():
                self._words(message)
            case ReplyDone():
                return self._reply_done(message, now)
            case ToolCall():
                return self._tool_call(message)
            case ReplyError(code=code, message=text):
                return [Notify(f"the agent could not reply: {text or code}")]
            case _:
                pass
        return []

    def expect_reply(self, now: float) -> None:
        """Note that the far end owes a reply from now on."""
        self.reply_expected = True
        self.timers.set(Timer.FLOOR, now + FLOOR_SECONDS)

    def give_up_waiting(self, now: float) -> list[Action]:
        """Free the floor: no reply came."""
        self.reply_expected = False
        if self.turn is Turn.USER:
            self.turn = Turn.IDLE
        return self.send_results(now)

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
        if self.turn is not Turn.IDLE and not self.immediate_results:
            return []
        if self.farewell is Farewell.SAID:
            return []
        results = self.calls.take_results()
        if results:
            self.expect_reply(now)
        return [Send(result) for result in results]

    def stop_reply(self) -> list[Action]:
        """Cut the agent off; what still comes of its reply is dead."""
        self.turn = Turn.USER
        return [StopPlayback()]

    def lose_line(self) -> list[Action]:
        """Cut the sound and keep the calls: they are answered after a resume."""
        self.turn = Turn.IDLE
        self.reply_expected = False
        self.reply_id = None
        self.farewell = Farewell.NONE
        self.calls.fail_terminal(CallState.WAITING, _LINE_LOST)
        self.timers.clear(Timer.FLOOR, Timer.GOODBYE)
        return [StopPlayback()]

    def forget_calls(self) -> list[Action]:
        """Drop every call: the session that asked is gone."""
        self.farewell = Farewell.NONE
        self.timers.clear(Timer.GOODBYE)
        return [CancelTool(call.message.call_id) for call in self.calls.forget()]

    # ------------------------------------------------------------ messages

    def _reply_audio(self, message: ReplyAudio) -> list[Action]:
        if self.turn is not Turn.AGENT:
            return []
        if message.reply_id and self.reply_id and message.reply_id != self.reply_id:
            return []
        return [Play(message.pcm)]

    def _speech_started(self) -> list[Action]:
        self.reply_expected = False
        self.timers.clear(Timer.FLOOR, Timer.GOODBYE)
        if self.farewell is not Farewell.NONE:
            self.farewell = Farewell.NONE
            self.calls.fail_terminal(CallState.FINISHED, _SPOKE_ON)
        return self.stop_reply()

    def _reply_started(self, message: ReplyStarted) -> list[Action]:
        dead = self.reply_id if self.turn is Turn.USER else None
        self.turn = Turn.AGENT
        self.reply_id = message.reply_id
        self.reply_expected = False
        self.spoke = False
        self.timers.clear(Timer.FLOOR)
        # An interrupted reply whose reply.done never came takes its calls with it.
        return [] if dead is None else self._forget_reply(dead)

    def _words(self, message: TranscriptAgentDelta | TranscriptAgent) -> None:
        text = (
            message.delta if isinstance(message, TranscriptAgentDelta) else message.text
        )
        if text.strip() and self._is_current(message.reply_id):
            self.spoke = True

    def _is_current(self, reply_id: str) -> bool:
        return self.turn is Turn.AGENT and (reply_id in ("", self.reply_id))

    def _tool_call(self, message: ToolCall) -> list[Action]:
        reply_id = self.reply_id or ""
        if self.turn is Turn.USER and self.reply_id is not None:
            # The reply that asked was interrupted a moment ago: its calls never run.
            self.calls.refuse(message, reply_id)
            return []
        rules = self.tools.get(message.name, CallRules())
        if self.calls.begin(message, reply_id, rules) is None:
            return []
        if not rules.terminal:
            return [RunTool(message)]
        # It waits for the end of its reply; one that comes after that runs at once.
        return self._run_waiting() if self.turn is Turn.IDLE else []

    def _reply_done(self, message: ReplyDone, now: float) -> list[Action]:
        reply_id = message.reply_id or self.reply_id or ""
        interrupted = message.status == "interrupted"
        actions = self._forget_reply(reply_id) if interrupted else []
        if self.reply_id not in (None, "", reply_id):
            return actions  # a straggler: another reply is under way
        self.reply_id = None
        if self.turn is Turn.USER:
            if not interrupted:
                # Its sound was cut, yet it counts as said: it may not hang up.
                self.calls.fail_terminal(CallState.WAITING, _SPOKE_ON)
            return actions
        self.turn = Turn.IDLE
        if interrupted:
            return [StopPlayback(), *actions, *self.send_results(now)]
        if self.farewell is Farewell.OWED:
            self.farewell = Farewell.SAID
            return []
        return [*self._run_waiting(), *self.send_results(now)]

    def _forget_reply(self, reply_id: str) -> list[Action]:
        return [
            CancelTool(call.message.call_id)
            for call in self.calls.forget(reply_id)
            if call.rules.on_interrupt == "cancel"
        ]

    def _run_waiting(self) -> list[Action]:
        actions: list[Action] = []
        for call in self.calls:
            if call.state is CallState.WAITING:
                call.state = CallState.RUNNING
                call.spoke = self.spoke
                actions.append(RunTool(call.message))
        return actions

    def _terminal_finished(self, call: Call, now: float) -> list[Action]:
        if call.spoke:
            self.farewell = Farewell.SAID
            return []
        actions = self.send_results(now)
        self.farewell = Farewell.OWED
        self.timers.set(Timer.GOODBYE, now + GOODBYE_SECONDS)
        return actions
