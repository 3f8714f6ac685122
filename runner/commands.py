"""What a person types while a call runs: words for the agent, or a command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from runner.config.spelling import nearest

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
