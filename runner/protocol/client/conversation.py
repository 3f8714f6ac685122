"""The conversation of one call, over all its connections and sessions: the dialogue,
what the agent is made to say, live changes, and what a fresh session must be told.

Fed by `ClientSession`, which owns the phases around it: `begin` and `take_up` when a
session is live, `lose_line` when it is not any more, `feed` in between.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.protocol.client.actions import (
    Action,
    ConfigApplied,
    Notify,
    Play,
    RunTool,
    Send,
)
from runner.protocol.client.announcements import (
    Announcements,
    IdlePrompter,
    remark_verbatim,
)
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
from runner.protocol.client.timers import Timer, Timers
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.client.turn_taking import Floor, PendingReply, TurnManager
from runner.protocol.messages import (
    ConversationMessage,
    InputSpeechStarted,
    JsonObject,
    ReplyAudio,
    ReplyCreate,
    ReplyError,
    ReplyStarted,
    ServerMessage,
    SessionError,
    SessionUpdate,
    SessionUpdated,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptUser,
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


# Changes to a running session: what may change, when it holds, what if refused.
#
# A change waits until no reply is under way and no call is open, goes out as
# `session.update`, and holds once the service has acknowledged it; only then are the
# new tools used. A change that the service refuses leaves everything as it was. One
# that was under way when the line dropped is sent again.


_FULL_VOLUME = 100
_REFUSALS = {
    "invalid_value",
    "invalid_format",
    "invalid_config",
    "immutable_field",
    "agent_id_not_first",
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """The session object of session.update, and how its tools are treated."""

    session: JsonObject
    tools: Mapping[str, ToolPolicy]


class ConfigChanges:
    """What the service has of the configuration, and what it is yet to get."""

    def __init__(self, configuration: Configuration) -> None:
        self.current = configuration
        self._wanted: Configuration | None = None  # not sent yet
        self._sent: Configuration | None = None  # not acknowledged yet
        self._is_unsure = False  # whether what was sent last arrived

    @property
    def is_due(self) -> bool:
        """Whether a change waits to be sent."""
        return self._wanted is not None and self._sent is None

    @property
    def latest(self) -> Configuration:
        """The configuration as the person wants it now."""
        return self._wanted or self._sent or self.current

    def want(self, configuration: Configuration) -> list[str]:
        """Take a change; return what of it a running session cannot take."""
        before, self._wanted = self.latest, configuration
        return fixed_changes(before.session, configuration.session)

    def first(self, *, greets: bool) -> JsonObject:
        """Return the session object that opens a session, as it is wanted now."""
        session = dict(self._take().session)
        if not greets:
            session.pop("greeting", None)
        return session

    def send(self) -> JsonObject:
        """Return the fields to be sent of the change that is due; perhaps none."""
        before = {} if self._is_unsure else self.current.session
        return changed_fields(before, self._take().session)

    def settle(self) -> bool:
        """The service has what was sent; return whether that changes anything here."""
        if self._sent is None:
            return False
        is_news = self._sent is not self.current
        self.current, self._sent, self._is_unsure = self._sent, None, False
        return is_news

    def lose(self) -> None:
        """The line is gone: whether what was sent arrived is unknown."""
        if self._sent is not None:
            self._wanted = self.latest
            self._sent, self._is_unsure = None, True

    def refuse(self, error: SessionError) -> bool:
        """Give a change up if this error is its refusal; return whether it was."""
        if self._sent is None or error.code.lower() not in _REFUSALS:
            return False
        self._sent = None
        return True

    def _take(self) -> Configuration:
        self._sent, self._wanted = self.latest, None
        return self._sent


def changed_fields(old: JsonObject, new: JsonObject) -> dict[str, Any]:
    """Return what a session.update has to say for a running session to follow."""
    fields: dict[str, Any] = {}
    if new.get("system_prompt") != old.get("system_prompt"):
        fields["system_prompt"] = new.get("system_prompt", "")
    if new.get("tools", []) != old.get("tools", []):
        fields["tools"] = new.get("tools", [])
    before, after = old.get("input", {}), new.get("input", {})
    heard = {key: value for key, value in after.items() if before.get(key) != value}
    if "keyterms" in before and "keyterms" not in after:
        heard["keyterms"] = []
    if heard:
        fields["input"] = heard
    volume = new.get("output", {}).get("volume")
    if volume != old.get("output", {}).get("volume"):
        fields["output"] = {"volume": _FULL_VOLUME if volume is None else volume}
    return fields


def fixed_changes(old: JsonObject, new: JsonObject) -> list[str]:
    """Return the names of what differs and stays until the next session."""
    fixed = []
    if new.get("greeting") != old.get("greeting"):
        fixed.append("the greeting")
    if _without_volume(new) != _without_volume(old):
        fixed.append("the voice")
    fixed += _taken_back(old.get("input", {}), new.get("input", {}))
    return fixed


def _taken_back(old: JsonObject, new: JsonObject) -> list[str]:
    """Return what has no value any more; the wire has no word for "as at first"."""
    names = [key for key in old if key not in new and key != "keyterms"]
    for key, value in old.items():
        if isinstance(value, Mapping) and isinstance(new.get(key), Mapping):
            names += _taken_back(value, new[key])
    return names


def _without_volume(session: JsonObject) -> dict[str, Any]:
    output = session.get("output", {})
    return {key: value for key, value in output.items() if key != "volume"}


# What has been said and done in a call, for a fresh session that must take it over.


# What a service is told of a lost conversation: more costs time and says little.
MOST_TURNS = 40
MOST_CHARACTERS = 8_000
_LONGEST_RESULT = 500
_OWN = "You said: "

PREFACE = (
    "The line dropped and the call goes on now. This is the conversation so far; take "
    "it up where it stopped, without greeting again."
)


class History:
    """The last turns of a call; kept by its conversation."""

    def __init__(self) -> None:
        self._turns: deque[ConversationMessage] = deque(maxlen=MOST_TURNS)

    def note(self, message: ServerMessage) -> None:
        """Keep the words of a message, if it has any."""
        match message:
            case TranscriptUser(text=text) if text.strip():
                self.say(text)
            case TranscriptAgent(text=text) if text.strip():
                # The wire has no role for the agent's own words.
                self._turns.append(ConversationMessage("system", f'{_OWN}"{text}"'))
            case _:
                pass

    def say(self, text: str) -> None:
        """Keep words of the caller."""
        self._turns.append(ConversationMessage("user", text))

    def answer(self, call: ToolCall, result: ToolResult) -> None:
        """Keep what a tool told the agent."""
        text = result.result
        if len(text) > _LONGEST_RESULT:
            text = text[:_LONGEST_RESULT] + "…"
        self._turns.append(
            ConversationMessage("system", f"Your tool {call.name} returned: {text}")
        )

    @property
    def awaits_answer(self) -> bool:
        """Whether the last word is the caller's or a tool's."""
        return bool(self._turns) and not self._turns[-1].content.startswith(_OWN)

    def tell(self) -> list[ConversationMessage]:
        """Return the messages that tell a fresh session of it; none if all is new."""
        kept: deque[ConversationMessage] = deque()
        room = MOST_CHARACTERS
        for turn in reversed(self._turns):
            room -= len(turn.content)
            if room < 0:
                break
            kept.appendleft(turn)
        return [ConversationMessage("system", PREFACE), *kept] if kept else []


# Words of the caller that go in as text: when they are sent, and when sent again.
#
# What is typed without a line waits for one. What was sent just before a line dropped
# perhaps never arrived: if the session that is back does not answer by itself, it is
# sent again.


# More than this, typed without a line, is not a conversation.
MOST_LINES = 10


class TextInputQueue:
    """The typed lines of one call; owned by its conversation."""

    def __init__(self, expectation: PendingReply) -> None:
        self._expectation = expectation
        self._held: deque[str] = deque(maxlen=MOST_LINES)
        self._sent: deque[str] = deque(maxlen=MOST_LINES)  # and no reply began since
        self.is_doubtful = False  # whether the line dropped after they were sent

    @property
    def is_waiting(self) -> bool:
        """Whether lines wait for a line to be sent on."""
        return bool(self._held)

    def hold(self, text: str) -> None:
        """Keep a line until there is somebody to hear it."""
        self._held.append(text)

    def take_held(self) -> list[str]:
        """Return the lines that are to be said now."""
        held = list(self._held)
        self._held.clear()
        return held

    def say(self, text: str, now: float) -> list[Action]:
        """Send a line and ask for a reply to it."""
        self._sent.append(text)
        return self._send(text, now)

    def repeat(self, now: float) -> list[Action]:
        """Send again what perhaps never arrived."""
        self.is_doubtful = False
        return [action for text in self._sent for action in self._send(text, now)]

    def lose(self) -> None:
        """The line dropped."""
        self.is_doubtful = bool(self._sent)

    def hear(self) -> None:
        """A reply began, or somebody else told of them: they have arrived."""
        self._sent.clear()
        self.is_doubtful = False

    def _send(self, text: str, now: float) -> list[Action]:
        self._expectation.expect(now, owed=True)
        return [Send(ConversationMessage("user", text)), Send(ReplyCreate())]
