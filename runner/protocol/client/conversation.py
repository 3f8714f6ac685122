"""The conversation of a call over all its connections and sessions.

Contains the conversation, configuration changes in a running session, the history for a
fresh session, and the queue of typed text. `ClientSession` calls `begin` or `resume`
when a session becomes live, `connection_lost` when it is not live any more, and `feed`
in between.
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
    prompt_verbatim,
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
_BYTES_PER_SECOND = 48_000  # 24 kHz, 16 bits, mono: the only encoding that is requested


class Conversation:
    """Turns, tool calls and texts of one call, independent of connections."""

    def __init__(self, config: ClientConfig, timers: Timers) -> None:
        self.turn_manager = TurnManager(
            timers,
            config.tools,
            config.patience,
            immediate_results=config.immediate_results,
        )
        self.changes = ConfigChanges(Configuration(config.session, config.tools))
        self._config = config
        self._timers = timers
        self._idle_prompts = IdlePrompter(timers, config.idle, config.one_minute_left)
        self._announcements = Announcements(
            timers, self.turn_manager, config.announce_by
        )
        self._history = History()
        self._typed = TextInputQueue(self.turn_manager.pending_reply)
        self._was_heard = False  # audio of the agent has been played
        self._owes_reply = False  # a reply was pending when the session was lost
        self._was_cut_off = False  # that reply had begun, without audio
        self._plays_until = 0.0  # when all audio so far will have been played
        # True if the client may send requests of its own: not while disconnected, and
        # not while the last audio is being played.
        self.is_open = False

    # --------------------------------------------------------------------- sessions

    def opening_message(self) -> SessionUpdate:
        """Returns the message that configures a fresh session; it greets only once."""
        return SessionUpdate(self.changes.first(greets=not self._was_heard))

    def begin(self, now: float, *, is_first: bool) -> list[Action]:
        """Starts the conversation in a fresh session."""
        actions = self._adopt()
        if is_first:
            self._idle_prompts.begin(now, self._config.max_duration)
        if not self._was_heard and self._greeting:
            self.turn_manager.pending_reply.expect(now)
        if not is_first and self._config.carry_over:
            actions += self._send_history(now)
        if self._typed.is_unconfirmed:
            actions += self._typed.repeat(now)
        return actions + self._say_held(now) + self.update(now)

    def resume(self, now: float) -> list[Action]:
        """Continues the conversation in the resumed session."""
        actions: list[Action] = []
        if not self._was_heard and self._greeting:
            actions += self._prompt(prompt_verbatim(self._greeting), now)
        elif self._owes_reply:
            self.turn_manager.pending_reply.resume(now)
        actions += self._record_results(self.turn_manager.send_results(now), now)
        return actions + self._say_held(now) + self.update(now)

    def connection_lost(self, event: Event | None = None) -> list[Action]:
        """Suspends the conversation: the session is disconnected or ends."""
        self.is_open = False
        self._plays_until = 0.0
        self._idle_prompts.caller_active()
        self._announcements.cancel()
        self.changes.connection_lost()
        unsent = event.unsent if isinstance(event, Disconnected) else ()
        results = [each.call_id for each in unsent if isinstance(each, ToolResult)]
        self._typed.connection_lost()
        pending_reply = self.turn_manager.pending_reply
        if pending_reply.is_open and not pending_reply.is_announcement:
            self._owes_reply = pending_reply.is_owed or self._history.awaits_answer
        reply = self.turn_manager.reply
        if reply is not None and reply.awaits_audio and not reply.is_announcement:
            self._owes_reply = self._was_cut_off = True
        return self.turn_manager.connection_lost(results)

    # ----------------------------------------------------------------------- events

    def play(self, message: ReplyAudio, now: float) -> list[Action]:
        """Handles audio of the agent, the most frequent message."""
        actions = self.turn_manager.play(message, now)
        if actions:
            self._was_heard = True
            self._count_audio(message.pcm, now)
        return actions

    def feed(self, event: Event, now: float) -> list[Action]:
        """Handles an event while the session is live."""
        match event:
            case Received(message):
                actions = self._receive(message, now)
            case ToolFinished(call_id, text, is_error):
                actions = self.turn_manager.tool_finished(call_id, text, is_error, now)
            case Say(text):
                actions = self._say(text, now)
            case Reconfigure(session, tools):
                actions = self._change(Configuration(session, tools))
            case SpeechSynthesized(call_id, pcm):
                self._announcements.add_audio(call_id, pcm)
                actions = []
            case _:
                return []
        return self._record_results(actions, now) + self.update(now)

    def feed_offline(self, event: Event) -> list[Action]:
        """Handles an event while disconnected: it is kept for the next session."""
        match event:
            case ToolFinished(call_id, text, is_error):
                self.turn_manager.calls.finish(call_id, text, is_error)
            case Say(text):
                self._typed.hold(text)
            case Reconfigure(session, tools):
                return self._change(Configuration(session, tools))
            case _:
                pass
        return []

    def expire(self, timer: Timer, now: float) -> list[Action]:
        """Handles an expired timer of the conversation."""
        match timer:
            case Timer.FLOOR if self._typed.is_unconfirmed:
                actions = self._typed.repeat(now)
            case Timer.FLOOR if self._was_cut_off:
                self._was_cut_off = False
                actions = self._prompt(SAY_AGAIN, now)
            case Timer.FLOOR if self.turn_manager.pending_reply.is_announcement:
                actions = self._announcements.stop_requesting()
                actions += self.turn_manager.reply_timed_out(now)
            case Timer.FLOOR:
                actions = self.turn_manager.reply_timed_out(now)
            case Timer.REPLY_AUDIO:
                actions = self.turn_manager.reply_audio_timed_out(now)
            case Timer.NUDGE:
                actions = self._prompt(self._idle_prompts.nudge(), now)
            case Timer.LAST_MINUTE:
                actions = self._prompt(self._idle_prompts.last_minute(), now)
            case _:
                actions = []
        return self._record_results(actions, now) + self.update(now)

    def update(self, now: float) -> list[Action]:
        """Sends due changes, prompts and announcements; called after every event."""
        if not self.is_open:
            return []
        actions = self._send_change()
        quiet_from = max(now, self._plays_until)
        prompt = self._idle_prompts.update(self.turn_manager.is_settled, quiet_from)
        actions += self._prompt(prompt, now)
        announcement = self._announcements.update(now)
        for action in announcement:
            if isinstance(action, Play):
                self._count_audio(action.pcm, now)
        return actions + announcement

    def _count_audio(self, pcm: bytes, now: float) -> None:
        length = len(pcm) / _BYTES_PER_SECOND
        self._plays_until = max(self._plays_until, now) + length
        self._announcements.note_audio(pcm, self._plays_until)

    # -------------------------------------------------------------------- messages

    def _receive(self, message: ServerMessage, now: float) -> list[Action]:
        if not (
            self.turn_manager.is_announcing and isinstance(message, TranscriptAgent)
        ):
            self._history.note(message)  # an announcement is not an answer
        match message:
            case InputSpeechStarted():
                self._idle_prompts.caller_active()
                self._announcements.cancel()
                self._plays_until = 0.0
            case ReplyStarted():
                self._owes_reply = self._was_cut_off = False
                self._typed.acknowledge()
            case SessionUpdated():
                return self._adopt()
            case SessionError() if self.changes.refuse(message):
                return [Notify("the change is refused; everything stays as it was")]
            case SessionError(code) | ReplyError(code=code):
                refused = self._announcements.refuse(code, now)
                return refused + self.turn_manager.receive(message, now)
            case _:
                pass
        return self.turn_manager.receive(message, now)

    def _send_history(self, now: float) -> list[Action]:
        actions: list[Action] = [Send(message) for message in self._history.messages()]
        self._typed.acknowledge()  # it is part of the history
        if actions and self._history.awaits_answer and not self._typed.is_waiting:
            self.turn_manager.pending_reply.expect(now, owed=True)
            actions.append(Send(ReplyCreate()))
        return actions

    @property
    def _greeting(self) -> str:
        return str(self.changes.current.session.get("greeting") or "")

    def _say(self, text: str, now: float) -> list[Action]:
        turn_manager = self.turn_manager
        self._idle_prompts.caller_active()
        self._announcements.cancel()
        self._history.add_user_text(text)
        stop = turn_manager.stop_reply() if turn_manager.turn is Floor.AGENT else []
        typed = self._typed.say(text, now)
        return [*stop, *typed, *turn_manager.send_results(now)]

    def _say_held(self, now: float) -> list[Action]:
        held = self._typed.take_held()
        return [action for text in held for action in self._say(text, now)]

    def _prompt(self, instructions: str | None, now: float) -> list[Action]:
        if instructions is None:
            return []
        self.turn_manager.pending_reply.expect(now, owed=True)
        return [Send(ReplyCreate(instructions))]

    def _record_results(self, actions: list[Action], now: float) -> list[Action]:
        """Adds sent tool results to the history and schedules announcements."""
        announcements: list[Action] = []
        for action in actions:
            match action:
                case Send(ToolResult() as result):
                    call = self.turn_manager.calls.find(result.call_id)
                    if call is not None:
                        self._history.add_tool_result(call.message, result)
                case RunTool(call=begun):
                    announcements += self._announcements.begin(begun.call_id, now)
        return actions + announcements

    # --------------------------------------------------------------------- changes

    def _change(self, wanted: Configuration) -> list[Action]:
        fixed = self.changes.request(wanted)
        if not fixed:
            return []
        names = " and ".join(fixed)
        return [Notify(f"{names} cannot change in a running session; call again")]

    def _send_change(self) -> list[Action]:
        turn_manager = self.turn_manager
        if not self.changes.is_due or turn_manager.turn is Floor.AGENT:
            return []
        if turn_manager.calls.any_open:
            return []  # open tool calls keep the tools that they were made with
        fields = self.changes.send()
        return [Send(SessionUpdate(fields))] if fields else self._adopt()

    def _adopt(self) -> list[Action]:
        if not self.changes.acknowledge():
            return []
        self.turn_manager.tools = self.changes.current.tools
        return [ConfigApplied()]


# Configuration changes in a running session.
#
# A change waits until no reply is in progress and no tool call is open, is sent as
# `session.update`, and applies once the service has acknowledged it; only then are the
# new tools used. A refused change has no effect. A change that was not acknowledged
# before a drop is sent again.


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
    """The session object of session.update, and the policies of its tools."""

    session: JsonObject
    tools: Mapping[str, ToolPolicy]


class ConfigChanges:
    """The configuration at the service, and changes that it has not acknowledged."""

    def __init__(self, configuration: Configuration) -> None:
        self.current = configuration
        self._wanted: Configuration | None = None  # not sent yet
        self._sent: Configuration | None = None  # not acknowledged yet
        self._is_unconfirmed = False  # a drop preceded the acknowledgment

    @property
    def is_due(self) -> bool:
        """True if a change waits to be sent."""
        return self._wanted is not None and self._sent is None

    @property
    def latest(self) -> Configuration:
        """The last requested configuration."""
        return self._wanted or self._sent or self.current

    def request(self, configuration: Configuration) -> list[str]:
        """Requests a change; returns the names of fields that cannot change now."""
        before, self._wanted = self.latest, configuration
        return fixed_changes(before.session, configuration.session)

    def first(self, *, greets: bool) -> JsonObject:
        """Returns the session object of a fresh session."""
        session = dict(self._take().session)
        if not greets:
            session.pop("greeting", None)
        return session

    def send(self) -> JsonObject:
        """Returns the changed fields of the change that is due; may be empty."""
        before = {} if self._is_unconfirmed else self.current.session
        return changed_fields(before, self._take().session)

    def acknowledge(self) -> bool:
        """Applies the change that was sent; returns True if there was one."""
        if self._sent is None:
            return False
        is_change = self._sent is not self.current
        self.current, self._sent, self._is_unconfirmed = self._sent, None, False
        return is_change

    def connection_lost(self) -> None:
        """Sends the last change again later: it may not have arrived."""
        if self._sent is not None:
            self._wanted = self.latest
            self._sent, self._is_unconfirmed = None, True

    def refuse(self, error: SessionError) -> bool:
        """Drops the sent change and returns True if this error refuses it."""
        if self._sent is None or error.code.lower() not in _REFUSALS:
            return False
        self._sent = None
        return True

    def _take(self) -> Configuration:
        self._sent, self._wanted = self.latest, None
        return self._sent


def changed_fields(old: JsonObject, new: JsonObject) -> dict[str, Any]:
    """Returns the session.update fields for the changes that a session can apply."""
    fields: dict[str, Any] = {}
    if new.get("system_prompt") != old.get("system_prompt"):
        fields["system_prompt"] = new.get("system_prompt", "")
    if new.get("tools", []) != old.get("tools", []):
        fields["tools"] = new.get("tools", [])
    before, after = old.get("input", {}), new.get("input", {})
    changed = {key: value for key, value in after.items() if before.get(key) != value}
    if "keyterms" in before and "keyterms" not in after:
        changed["keyterms"] = []
    if changed:
        fields["input"] = changed
    volume = new.get("output", {}).get("volume")
    if volume != old.get("output", {}).get("volume"):
        fields["output"] = {"volume": _FULL_VOLUME if volume is None else volume}
    return fields


def fixed_changes(old: JsonObject, new: JsonObject) -> list[str]:
    """Returns the names of differences that cannot be applied to a running session."""
    fixed = []
    if new.get("greeting") != old.get("greeting"):
        fixed.append("the greeting")
    if _without_volume(new) != _without_volume(old):
        fixed.append("the voice")
    fixed += _removed_keys(old.get("input", {}), new.get("input", {}))
    return fixed


def _removed_keys(old: JsonObject, new: JsonObject) -> list[str]:
    """Returns keys that were removed; the wire cannot reset them to their default."""
    names = [key for key in old if key not in new and key != "keyterms"]
    for key, value in old.items():
        if isinstance(value, Mapping) and isinstance(new.get(key), Mapping):
            names += _removed_keys(value, new[key])
    return names


def _without_volume(session: JsonObject) -> dict[str, Any]:
    output = session.get("output", {})
    return {key: value for key, value in output.items() if key != "volume"}


# The history of a call, for a fresh session that continues it.


# Bounds of the history that is sent: more costs time and adds little.
MAX_TURNS = 40
MAX_CHARACTERS = 8_000
_MAX_RESULT_CHARACTERS = 500
_AGENT_PREFIX = "You said: "

PREFACE = (
    "The line dropped and the call goes on now. This is the conversation so far; take "
    "it up where it stopped, without greeting again."
)


class History:
    """The last turns of a call; owned by the conversation."""

    def __init__(self) -> None:
        self._turns: deque[ConversationMessage] = deque(maxlen=MAX_TURNS)

    def note(self, message: ServerMessage) -> None:
        """Adds the transcript of a message, if it has one."""
        match message:
            case TranscriptUser(text=text) if text.strip():
                self.add_user_text(text)
            case TranscriptAgent(text=text) if text.strip():
                # The wire has no role for the agent.
                self._turns.append(
                    ConversationMessage("system", f'{_AGENT_PREFIX}"{text}"')
                )
            case _:
                pass

    def add_user_text(self, text: str) -> None:
        """Adds text of the caller."""
        self._turns.append(ConversationMessage("user", text))

    def add_tool_result(self, call: ToolCall, result: ToolResult) -> None:
        """Adds the result of a tool call, shortened."""
        text = result.result
        if len(text) > _MAX_RESULT_CHARACTERS:
            text = text[:_MAX_RESULT_CHARACTERS] + "…"
        self._turns.append(
            ConversationMessage("system", f"Your tool {call.name} returned: {text}")
        )

    @property
    def awaits_answer(self) -> bool:
        """True if the last entry is of the caller or a tool."""
        return bool(self._turns) and not self._turns[-1].content.startswith(
            _AGENT_PREFIX
        )

    def messages(self) -> list[ConversationMessage]:
        """Returns the messages for a fresh session; empty without history."""
        kept: deque[ConversationMessage] = deque()
        room = MAX_CHARACTERS
        for turn in reversed(self._turns):
            room -= len(turn.content)
            if room < 0:
                break
            kept.appendleft(turn)
        return [ConversationMessage("system", PREFACE), *kept] if kept else []


# Typed text of the caller.
#
# Text that is typed while disconnected is queued. Text that was sent just before a drop
# may not have arrived: if the resumed session does not answer by itself, it is sent
# again.


# The oldest texts beyond this number are dropped.
MAX_QUEUED_TEXTS = 10


class TextInputQueue:
    """Typed texts of a call; owned by the conversation."""

    def __init__(self, pending_reply: PendingReply) -> None:
        self._pending_reply = pending_reply
        self._held: deque[str] = deque(maxlen=MAX_QUEUED_TEXTS)
        self._sent: deque[str] = deque(
            maxlen=MAX_QUEUED_TEXTS
        )  # and no reply began since
        self.is_unconfirmed = False  # the connection dropped after they were sent

    @property
    def is_waiting(self) -> bool:
        """True if texts wait for a connection."""
        return bool(self._held)

    def hold(self, text: str) -> None:
        """Queues a text until the session is live."""
        self._held.append(text)

    def take_held(self) -> list[str]:
        """Returns the queued texts and empties the queue."""
        held = list(self._held)
        self._held.clear()
        return held

    def say(self, text: str, now: float) -> list[Action]:
        """Sends a text and requests a reply."""
        self._sent.append(text)
        return self._send(text, now)

    def repeat(self, now: float) -> list[Action]:
        """Sends the unconfirmed texts again."""
        self.is_unconfirmed = False
        return [action for text in self._sent for action in self._send(text, now)]

    def connection_lost(self) -> None:
        """Marks sent texts as unconfirmed."""
        self.is_unconfirmed = bool(self._sent)

    def acknowledge(self) -> None:
        """Forgets the sent texts: a reply began, or the history contains them."""
        self._sent.clear()
        self.is_unconfirmed = False

    def _send(self, text: str, now: float) -> list[Action]:
        self._pending_reply.expect(now, owed=True)
        return [Send(ConversationMessage("user", text)), Send(ReplyCreate())]
