"""What a person can do to a running call besides speaking."""

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
    """How a person has set a call; `volume` is None while nobody has named one."""

    is_muted: bool = False
    volume: float | None = None
    is_push_to_talk: bool = False


@dataclass(slots=True)
class Controls:
    """Performs commands and changes of the agent; driven by the near end and `--watch`.

    A volume that was typed holds until the agent file names another one. `report` is
    told how the call is set whenever that changes; without it, by notices only.
    """

    engine: Engine
    notice: Notice
    file_session: JsonObject  # as the agent file has it
    is_push_to_talk: bool = False  # muted unless a person has pressed to talk
    report: Callable[[ControlState], None] | None = None
    _typed_volume: float | None = None

    def __post_init__(self) -> None:
        if self.is_push_to_talk:
            self.engine.is_muted = True

    @property
    def standing(self) -> ControlState:
        """How the call is set now."""
        volume = self._typed_volume
        if volume is None:
            volume = _volume(self.file_session)
        return ControlState(self.engine.is_muted, volume, self.is_push_to_talk)

    def perform(self, command: Control) -> None:
        """Do what a command says, and say what was done."""
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
                volume = self.standing.volume
                volume = FULL_VOLUME if volume is None else round(volume)
                self._set_volume(max(0, min(FULL_VOLUME, volume + percent)))
            case Help():
                for line in describe_commands():
                    self.notice(line)
            case InvalidCommand(text):
                self.notice(text)

    def reconfigure(self, session: JsonObject, rules: Mapping[str, ToolPolicy]) -> None:
        """Let the running session follow an agent file that has changed."""
        if _volume(self.file_session) != _volume(session):
            self._typed_volume = None
        self.file_session = session
        self.engine.reconfigure(self._with_volume(session), rules)

    def _mute(self, is_muted: bool) -> None:
        self.engine.is_muted = is_muted
        self.notice(
            "muted: the far end hears silence until /unmute"
            if is_muted
            else "not muted: the far end hears you"
        )
        self._report()

    def _talk(self) -> None:
        self.engine.is_muted = not self.engine.is_muted
        if self.report is None:  # else it is seen, and too frequent to be told
            self.notice(
                "not heard until /talk"
                if self.engine.is_muted
                else "the far end hears you until /talk"
            )
        self._report()

    def _report(self) -> None:
        if self.report is not None:
            self.report(self.standing)

    def _set_volume(self, percent: int) -> None:
        if self._typed_volume == percent:
            self.notice(f"volume {percent} already")
            return
        latest = self.engine.session.conversation.changes.latest
        self._typed_volume = percent
        self.engine.reconfigure(self._with_volume(latest.session), latest.tools)
        self.notice(f"volume {percent}, from the agent's next reply on")
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


# What a person types while a call runs: words for the agent, or a command.


FULL_VOLUME = 100


@dataclass(frozen=True, slots=True)
class SayText:
    """The caller's words, to be said as they stand."""

    text: str


@dataclass(frozen=True, slots=True)
class Mute:
    """The far end is to hear silence, or the caller again."""

    is_muted: bool


@dataclass(frozen=True, slots=True)
class Volume:
    """How loud the agent is to speak, 0 to 100."""

    percent: int


@dataclass(frozen=True, slots=True)
class ToggleMute:
    """Silence in place of the caller, or the caller again: the other of the two."""


@dataclass(frozen=True, slots=True)
class PushToTalk:
    """Push-to-talk was pressed: the caller begins to be heard, or ends."""


@dataclass(frozen=True, slots=True)
class VolumeStep:
    """The agent is to speak so much louder, or less loud, in percent of the scale."""

    percent: int


@dataclass(frozen=True, slots=True)
class End:
    """The call is to end once the agent has finished."""


@dataclass(frozen=True, slots=True)
class Help:
    """The commands are to be listed."""


@dataclass(frozen=True, slots=True)
class InvalidCommand:
    """A line that begins like a command and is none; `text` says why."""

    text: str


Control: TypeAlias = (
    Mute | ToggleMute | PushToTalk | Volume | VolumeStep | Help | InvalidCommand
)
Typed: TypeAlias = SayText | End | Control


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table: how it is written, what it does, how it is read.

    `parse` is given what follows the name, and returns None for what makes no sense.
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
    "/mute": Command("/mute", "let the far end hear silence", _bare(Mute(True))),
    "/unmute": Command("/unmute", "be heard again", _bare(Mute(False))),
    "/talk": Command(
        "/talk", "begin to be heard, and again: end (push-to-talk)", _bare(PushToTalk())
    ),
    "/volume": Command(
        "/volume 0-100", "how loud the agent speaks, from its next reply", _parse_volume
    ),
    "/say": Command(
        "/say WORDS",
        "say words that begin with a slash",
        lambda rest: SayText(rest) if rest else None,
    ),
    "/end": Command("/end", "hang up when the agent has finished", _bare(End())),
    "/help": Command("/help", "list the commands", _bare(Help())),
}


def parse_line(line: str) -> Typed:
    """Read a typed line; only one that begins with a slash is a command."""
    line = line.strip()
    if not line.startswith("/"):
        return SayText(line)
    name, _, rest = line.partition(" ")
    command = COMMANDS.get(name.lower())
    if command is not None:
        return command.parse(rest.strip()) or InvalidCommand(f"write {command.usage}")
    near = nearest(name, COMMANDS)
    advice = f"did you mean {near}?" if near else "/help lists the commands"
    return InvalidCommand(
        f"there is no command {name!r}; {advice} (/say {line} says it to the agent)"
    )


def describe_commands() -> list[str]:
    """Return the commands as lines of text, aligned."""
    width = max(len(each.usage) for each in COMMANDS.values())
    return [f"{each.usage:<{width}}  {each.help}" for each in COMMANDS.values()]
