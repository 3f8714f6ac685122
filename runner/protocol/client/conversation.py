"""The conversation of one call, over all its connections and sessions: the dialogue,
what the agent is made to say, live changes, and what a fresh session must be told.

Fed by `ClientSession`, which owns the phases around it: `begin` and `take_up` when a
session is live, `lose_line` when it is not any more, `feed` in between.
"""

from __future__ import annotations

from runner.protocol.client.actions import (
    Action,
    ConfigApplied,
    Notify,
    Play,
    RunTool,
    Send,
)
from runner.protocol.client.announcements import Announcements
from runner.protocol.client.changes import ConfigChanges, Configuration
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import (
    Disconnected,
    Event,
    Received,
    Reconfigure,
    Say,
    SpeechSynthesized,
    ToolFinished,
)
from runner.protocol.client.history import History
from runner.protocol.client.remarks import IdlePrompter, remark_verbatim
from runner.protocol.client.timers import Timer, Timers
from runner.protocol.client.turn import Floor
from runner.protocol.client.turn_taking import TurnManager
from runner.protocol.client.typed import TextInputQueue
from runner.protocol.messages import (
    InputSpeechStarted,
    ReplyAudio,
    ReplyCreate,
    ReplyError,
    ReplyStarted,
    ServerMessage,
    SessionError,
    SessionUpdate,
    SessionUpdated,
    ToolResult,
    TranscriptAgent,
)

SAY_AGAIN = "The line dropped before the caller heard your last answer. Say it again."
_BYTES_PER_SECOND = 48_000  # 24 kHz, 16 bits, mono: the only encoding that is asked for


class Conversation:
    """What is said and done; knows nothing of connections."""

    def __init__(self, config: ClientConfig, timers: Timers) -> None:
        self.dialogue = TurnManager(
            timers,
            config.tools,
            config.patience,
            immediate_results=config.immediate_results,
        )
        self.changes = ConfigChanges(Configuration(config.session, config.tools))
        self._config = config
        self._timers = timers
        self._remarks = IdlePrompter(timers, config.idle, config.one_minute_left)
        self._announcements = Announcements(timers, self.dialogue, config.announce_by)
        self._history = History()
        self._typed = TextInputQueue(self.dialogue.expectation)
        self._was_heard = False  # whether the agent has ever been heard
        self._owes_reply = False  # whether a session that was lost owed a reply
        self._was_cut_off = False  # whether a reply had begun then, and was not heard
        self._plays_until = 0.0  # when all sound so far will have been played
        # Whether anything of ours may begin now: not without a line, and not when only
        # the last words are yet to be heard.
        self.is_open = False

    # ------------------------------------------------------- sessions come and go

    def opening(self) -> SessionUpdate:
        """Return the message that configures a fresh session; it greets only once."""
        return SessionUpdate(self.changes.first(greets=not self._was_heard))

    def begin(self, now: float, *, is_first: bool) -> list[Action]:
        """A fresh session is live."""
        actions = self._adopt()
        if is_first:
            self._remarks.begin(now, self._config.max_duration)
        if not self._was_heard and self._greeting:
            self.dialogue.expectation.expect(now)
        if not is_first and self._config.carry_over:
            actions += self._tell_history(now)
        if self._typed.is_doubtful:
            actions += self._typed.repeat(now)
        return actions + self._say_held(now) + self.look(now)

    def take_up(self, now: float) -> list[Action]:
        """The session that was lost is live again."""
        actions: list[Action] = []
        if not self._was_heard and self._greeting:
            actions += self._remark(remark_verbatim(self._greeting), now)
        elif self._owes_reply:
            self.dialogue.expectation.take_up(now)
        actions += self._noted(self.dialogue.send_results(now), now)
        return actions + self._say_held(now) + self.look(now)

    def lose_line(self, event: Event | None = None) -> list[Action]:
        """The session is out of reach, for now or for good."""
        self.is_open = False
        self._plays_until = 0.0
        self._remarks.stir()
        self._announcements.hush()
        self.changes.lose()
        unsent = event.unsent if isinstance(event, Disconnected) else ()
        results = [each.call_id for each in unsent if isinstance(each, ToolResult)]
        self._typed.lose()
        expectation = self.dialogue.expectation
        if expectation.is_open and not expectation.is_announcement:
            self._owes_reply = expectation.is_owed or self._history.awaits_answer
        reply = self.dialogue.reply
        if reply is not None and reply.awaits_sound and not reply.is_announcement:
            self._owes_reply = self._was_cut_off = True
        return self.dialogue.lose_line(results)

    # --------------------------------------------------------------- what happens

    def play(self, message: ReplyAudio, now: float) -> list[Action]:
        """Take sound of the agent: the short way of what comes most often."""
        actions = self.dialogue.play(message, now)
        if actions:
            self._was_heard = True
            self._count_sound(message.pcm, now)
        return actions

    def feed(self, event: Event, now: float) -> list[Action]:
        """Take in an event of the live conversation."""
        match event:
            case Received(message):
                actions = self._receive(message, now)
            case ToolFinished(call_id, text, is_error):
                actions = self.dialogue.tool_finished(call_id, text, is_error, now)
            case Say(text):
                actions = self._say(text, now)
            case Reconfigure(session, tools):
                actions = self._change(Configuration(session, tools))
            case SpeechSynthesized(call_id, pcm):
                self._announcements.take_sound(call_id, pcm)
                actions = []
            case _:
                return []
        return self._noted(actions, now) + self.look(now)

    def feed_apart(self, event: Event) -> list[Action]:
        """Take in an event while the session is out of reach: nothing is lost."""
        match event:
            case ToolFinished(call_id, text, is_error):
                self.dialogue.calls.finish(call_id, text, is_error)
            case Say(text):
                self._typed.hold(text)
            case Reconfigure(session, tools):
                return self._change(Configuration(session, tools))
            case _:
                pass
        return []

    def expire(self, timer: Timer, now: float) -> list[Action]:
        """A deadline of the conversation has passed."""
        match timer:
            case Timer.FLOOR if self._typed.is_doubtful:
                actions = self._typed.repeat(now)
            case Timer.FLOOR if self._was_cut_off:
                self._was_cut_off = False
                actions = self._remark(SAY_AGAIN, now)
            case Timer.FLOOR if self.dialogue.expectation.is_announcement:
                actions = self._announcements.give_up_asking()
                actions += self.dialogue.give_up_waiting(now)
            case Timer.FLOOR:
                actions = self.dialogue.give_up_waiting(now)
            case Timer.SOUND:
                actions = self.dialogue.give_up_listening(now)
            case Timer.NUDGE:
                actions = self._remark(self._remarks.nudge(), now)
            case Timer.LAST_MINUTE:
                actions = self._remark(self._remarks.last_minute(), now)
            case _:
                actions = []
        return self._noted(actions, now) + self.look(now)

    def look(self, now: float) -> list[Action]:
        """Do what waits for its moment; called after every event."""
        if not self.is_open:
            return []
        actions = self._send_change()
        quiet_from = max(now, self._plays_until)
        remark = self._remarks.look(self.dialogue.is_settled, quiet_from)
        actions += self._remark(remark, now)
        said = self._announcements.look(now)
        for action in said:
            if isinstance(action, Play):
                self._count_sound(action.pcm, now)
        return actions + said

    def _count_sound(self, pcm: bytes, now: float) -> None:
        length = len(pcm) / _BYTES_PER_SECOND
        self._plays_until = max(self._plays_until, now) + length
        self._announcements.hear(pcm, self._plays_until)

    # -------------------------------------------------------------------- messages

    def _receive(self, message: ServerMessage, now: float) -> list[Action]:
        if not (self.dialogue.is_announcing and isinstance(message, TranscriptAgent)):
            self._history.note(message)  # "one moment" is no answer to anything
        match message:
            case InputSpeechStarted():
                self._remarks.stir()
                self._announcements.hush()
                self._plays_until = 0.0
            case ReplyStarted():
                self._owes_reply = self._was_cut_off = False
                self._typed.hear()
            case SessionUpdated():
                return self._adopt()
            case SessionError() if self.changes.refuse(message):
                return [Notify("the change is refused; everything stays as it was")]
            case SessionError(code) | ReplyError(code=code):
                refused = self._announcements.refuse(code, now)
                return refused + self.dialogue.receive(message, now)
            case _:
                pass
        return self.dialogue.receive(message, now)

    def _tell_history(self, now: float) -> list[Action]:
        told: list[Action] = [Send(message) for message in self._history.tell()]
        self._typed.hear()  # it is part of the history
        if told and self._history.awaits_answer and not self._typed.is_waiting:
            self.dialogue.expectation.expect(now, owed=True)
            told.append(Send(ReplyCreate()))
        return told

    @property
    def _greeting(self) -> str:
        return str(self.changes.current.session.get("greeting") or "")

    def _say(self, text: str, now: float) -> list[Action]:
        dialogue = self.dialogue
        self._remarks.stir()
        self._announcements.hush()
        self._history.say(text)
        stop = dialogue.stop_reply() if dialogue.turn is Floor.AGENT else []
        typed = self._typed.say(text, now)
        return [*stop, *typed, *dialogue.send_results(now)]

    def _say_held(self, now: float) -> list[Action]:
        held = self._typed.take_held()
        return [action for text in held for action in self._say(text, now)]

    def _remark(self, instructions: str | None, now: float) -> list[Action]:
        if instructions is None:
            return []
        self.dialogue.expectation.expect(now, owed=True)
        return [Send(ReplyCreate(instructions))]

    def _noted(self, actions: list[Action], now: float) -> list[Action]:
        """Keep what the agent is told of its calls, and announce those that begin."""
        voices: list[Action] = []
        for action in actions:
            match action:
                case Send(ToolResult() as result):
                    call = self.dialogue.calls.find(result.call_id)
                    if call is not None:
                        self._history.answer(call.message, result)
                case RunTool(call=begun):
                    voices += self._announcements.begin(begun.call_id, now)
        return actions + voices

    # --------------------------------------------------------------------- changes

    def _change(self, wanted: Configuration) -> list[Action]:
        fixed = self.changes.want(wanted)
        if not fixed:
            return []
        names = " and ".join(fixed)
        return [Notify(f"{names} cannot change in a running session; call again")]

    def _send_change(self) -> list[Action]:
        dialogue = self.dialogue
        if not self.changes.is_due or dialogue.turn is Floor.AGENT:
            return []
        if dialogue.calls.any_open:
            return []  # they are answered as they were asked
        fields = self.changes.send()
        return [Send(SessionUpdate(fields))] if fields else self._adopt()

    def _adopt(self) -> list[Action]:
        if not self.changes.settle():
            return []
        self.dialogue.tools = self.changes.current.tools
        return [ConfigApplied()]
