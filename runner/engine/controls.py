"""Controls of a running call: mute, push-to-talk, volume, and typed commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from runner.config.spelling import nearest
from runner.engine.caller import Notice
from runner.engine.engine import Engine
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import JsonObject


@dataclass(frozen=True, slots=True)
class ControlState:
    """The settings of a running call; `volume` is None until one was set."""

    is_muted: bool = False
    volume: float | None = None
    is_push_to_talk: bool = False


@dataclass(slots=True)
class Controls:
    """Performs typed commands and changes of the agent file on a running call.

    A typed volume is kept until the agent file sets another one. `report` receives the
    state after each change, if it is set.
    """

    engine: Engine
    notice: Notice
    file_session: JsonObject  # the session of the agent file
    is_push_to_talk: bool = False  # muted until the person presses to talk
    report: Callable[[ControlState], None] | None = None
    _typed_volume: float | None = None

    def __post_init__(self) -> None:
        if self.is_push_to_talk:
            self.engine.is_muted = True

    @property
    def state(self) -> ControlState:
        """The current settings."""
        volume = self._typed_volume
        if volume is None:
            volume = _volume(self.file_session)
        return ControlState(self.engine.is_muted, volume, self.is_push_to_talk)

    def perform(self, command: Control) -> None:
        """Performs a command and reports the effect."""
        match command:
            case Mute(is_muted):
                self._mute(is_muted)
            case ToggleMute():
                self._mute(not self.engine.is_muted)
            case PushToTalk():
                self._talk()
            case Volume(percent):
                self._set_volume(percent)
            case VolumeStep(percent):
                volume = self.state.volume
                volume = FULL_VOLUME if volume is None else round(volume)
                self._set_volume(max(0, min(FULL_VOLUME, volume + percent)))
            case Help():
                for line in describe_commands():
                    self.notice(line)
            case InvalidCommand(text):
                self.notice(text)

    def reconfigure(self, session: JsonObject, rules: Mapping[str, ToolPolicy]) -> None:
        """Applies a changed agent file to the running session."""
        if _volume(self.file_session) != _volume(session):
            self._typed_volume = None
        self.file_session = session
        self.engine.reconfigure(self._with_volume(session), rules)

    def _mute(self, is_muted: bool) -> None:
        self.engine.is_muted = is_muted
        self.notice(
            "muted: silence is sent until /unmute"
            if is_muted
            else "not muted: microphone audio is sent"
        )
        self._report()

    def _talk(self) -> None:
        self.engine.is_muted = not self.engine.is_muted
        if self.report is None:  # else the view shows it, and a notice is too frequent
            self.notice(
                "muted until /talk"
                if self.engine.is_muted
                else "microphone audio is sent until /talk"
            )
        self._report()

    def _report(self) -> None:
        if self.report is not None:
            self.report(self.state)

    def _set_volume(self, percent: int) -> None:
        if self._typed_volume == percent:
            self.notice(f"the volume is already {percent}")
            return
        latest = self.engine.session.conversation.changes.latest
        self._typed_volume = percent
        self.engine.reconfigure(self._with_volume(latest.session), latest.tools)
        self.notice(f"volume {percent} from the agent's next reply on")
        self._report()

    def _with_volume(self, session: JsonObject) -> JsonObject:
        if self._typed_volume is None:
            return session
        output: dict[str, Any] = {
            **session.get("output", {}),
            "volume": self._typed_volume,
        }
        return {**session, "output": output}


def _volume(session: JsonObject) -> float | None:
    volume: float | None = session.get("output", {}).get("volume")
    return volume


FULL_VOLUME = 100


@dataclass(frozen=True, slots=True)
class SayText:
    """Text to be spoken or sent unchanged."""

    text: str


@dataclass(frozen=True, slots=True)
class Mute:
    """Sends silence, or microphone audio again."""

    is_muted: bool


@dataclass(frozen=True, slots=True)
class Volume:
    """Sets the agent's volume, 0 to 100."""

    percent: int


@dataclass(frozen=True, slots=True)
class ToggleMute:
    """Mutes or unmutes."""


@dataclass(frozen=True, slots=True)
class PushToTalk:
    """Starts or stops sending microphone audio."""


@dataclass(frozen=True, slots=True)
class VolumeStep:
    """Changes the agent's volume by `percent`, which may be negative."""

    percent: int


@dataclass(frozen=True, slots=True)
class End:
    """Ends the call once the agent has finished."""


@dataclass(frozen=True, slots=True)
class Help:
    """Lists the commands."""


@dataclass(frozen=True, slots=True)
class InvalidCommand:
    """A line that starts with a slash and is not a command; `text` is the message."""

    text: str


Control: TypeAlias = (
    Mute | ToggleMute | PushToTalk | Volume | VolumeStep | Help | InvalidCommand
)
Typed: TypeAlias = SayText | End | Control


@dataclass(frozen=True, slots=True)
class Command:
    """A row of the command table.

    `parse` takes the text after the name, and returns None if it is invalid.
    """

    usage: str
    help: str
    parse: Callable[[str], Typed | None]


def _bare(typed: Typed) -> Callable[[str], Typed | None]:
    return lambda rest: None if rest else typed


def _parse_volume(rest: str) -> Typed | None:
    digits = rest.removesuffix("%").strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= len("100")):
        return None
    percent = int(digits)
    return Volume(percent) if percent <= FULL_VOLUME else None


COMMANDS: dict[str, Command] = {
    "/mute": Command("/mute", "send silence", _bare(Mute(True))),
    "/unmute": Command("/unmute", "send microphone audio again", _bare(Mute(False))),
    "/talk": Command(
        "/talk", "start or stop sending audio (push-to-talk)", _bare(PushToTalk())
    ),
    "/volume": Command(
        "/volume 0-100", "set the agent's volume, from its next reply on", _parse_volume
    ),
    "/say": Command(
        "/say TEXT",
        "say a text that begins with a slash",
        lambda rest: SayText(rest) if rest else None,
    ),
    "/end": Command("/end", "hang up when the agent has finished", _bare(End())),
    "/help": Command("/help", "list the commands", _bare(Help())),
}


def parse_line(line: str) -> Typed:
    """Returns a typed line as text or, if it begins with a slash, as a command."""
    line = line.strip()
    if not line.startswith("/"):
        return SayText(line)
    name, _, rest = line.partition(" ")
    command = COMMANDS.get(name.lower())
    if command is not None:
        return command.parse(rest.strip()) or InvalidCommand(f"usage: {command.usage}")
    near = nearest(name, COMMANDS)
    advice = f"did you mean {near}?" if near else "/help lists the commands"
    return InvalidCommand(
        f"unknown command {name!r}: {advice} (/say {line} says it to the agent)"
    )


def describe_commands() -> list[str]:
    """Returns the commands as aligned lines of text."""
    width = max(len(each.usage) for each in COMMANDS.values())
    return [f"{each.usage:<{width}}  {each.help}" for each in COMMANDS.values()]
