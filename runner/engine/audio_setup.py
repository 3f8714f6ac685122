"""The near end of a call: which microphone, which speaker, and who speaks.

| input | microphone           | who speaks             | the call is ended by        |
|-------|----------------------|------------------------|-----------------------------|
| mic   | the sound card       | a person, who may type | Ctrl-C, the agent           |
| FILE  | the file, then quiet | the file               | the end of its last answer  |
| text  | quiet                | the lines of stdin     | the end of the input        |
| lines | quiet                | `--say`, one by one    | the end of the last answer  |
| none  | quiet                | nobody                 | the end of the greeting     |

Of what comes by stdin, lines that begin with a slash are commands. At a terminal they
are obeyed at once and words are said as they come; lines that are piped in take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from runner.audio.devices import Microphone, Speaker
from runner.audio.files import FileMicrophone, FileSpeaker
from runner.audio.portaudio.soundcard import SoundCard
from runner.audio.spoken import InjectedMicrophone, MixedMicrophone
from runner.audio.virtual import NullSpeaker, SilentMicrophone
from runner.commands import End, SayText, Typed, parse_line
from runner.desk import AudioOptions, open_desk
from runner.engine.caller import Notice, ScriptedCaller
from runner.engine.controls import Controls
from runner.errors import AudioUnavailable, DeviceNotFound, UsageError
from runner.keyboard import is_in_foreground, is_terminal, typed_lines

# After a file has ended, the far end may still wait for more of the turn: the longest
# silence that a service is known to wait for by default is 3 s.
FILE_QUIET_SECONDS = 3.5
NOBODY_QUIET_SECONDS = 2.0
TYPING_WORKS = "type to speak, /help lists commands"


# What a person types, as it comes: words and commands, until there is no more.
Typing: TypeAlias = Callable[[], AsyncIterator[Typed]]


async def _typed_lines() -> AsyncIterator[Typed]:
    async for line in typed_lines():
        yield parse_line(line)


@dataclass(frozen=True, slots=True)
class LocalEndpoint:
    """The open devices of a call, and how it goes on at this end.

    `typing` reads a terminal's keys for a view that draws them; else lines are read.
    """

    input: str
    microphone: Microphone
    speaker: Speaker
    lines: Sequence[str] = ()
    typing: Typing | None = None

    async def drive(self, caller: ScriptedCaller, controls: Controls) -> None:
        """Do the caller's part to its end; with a microphone, a person does."""
        match self.microphone:
            case FileMicrophone() as file:
                await file.finished.wait()
                await caller.hang_up_when_quiet(FILE_QUIET_SECONDS)
            case InjectedMicrophone() if self.lines:
                await caller.speak_in_turn(_each(self.lines))
            case InjectedMicrophone() if is_terminal():
                lines = _obeyed(self._typed(controls), controls)
                await caller.speak_at_once(_read_ahead(lines))
            case InjectedMicrophone():
                await caller.speak_in_turn(_obeyed(_typed_lines(), controls))
            case SilentMicrophone():
                await caller.hang_up_when_quiet(NOBODY_QUIET_SECONDS)
            case MixedMicrophone() if is_terminal() and is_in_foreground():
                lines = _obeyed(self._typed(controls), controls, is_all=False)
                await caller.speak_at_once(_read_ahead(lines))
            case _:
                pass
        # The engine ends the call; until then there is nothing more to do here.
        await asyncio.Event().wait()

    def _typed(self, controls: Controls) -> AsyncIterator[Typed]:
        if self.typing is not None:
            return self.typing()
        controls.notice(TYPING_WORKS)
        return _typed_lines()


@contextlib.asynccontextmanager
async def open_near_end(
    input: str | None,
    output: str | None,
    lines: Sequence[str],
    notice: Notice,
    desk: AudioOptions,
) -> AsyncIterator[LocalEndpoint]:
    """Open the devices; without wishes, a person at the sound card.

    Raises:
        UsageError: the wishes contradict each other.
        AudioError, FileUnreadable: a device or a file cannot be opened.
    """
    if lines and input not in (None, "none"):
        raise UsageError(
            f"--say speaks in place of a microphone, so it does not go with "
            f"--input {input}"
        )
    if input and output and _is_same_file(Path(input), Path(output)):
        raise UsageError(f"--output would overwrite the input {input}")
    kind = "lines" if lines else input or "mic"
    async with contextlib.AsyncExitStack() as stack:
        microphone, speaker = await _open(kind, output, desk, stack, notice)
        yield LocalEndpoint(kind, microphone, speaker, tuple(lines))


_Devices: TypeAlias = tuple[Microphone, Speaker]


async def _open(
    kind: str,
    output: str | None,
    desk: AudioOptions,
    stack: contextlib.AsyncExitStack,
    notice: Notice,
) -> _Devices:
    if kind == "mic":
        return await _open_for_a_person(output, desk, stack, notice)
    # The file first: one that cannot be read should not leave another one behind.
    microphone: Microphone = await stack.enter_async_context(_microphone(kind))
    if output not in (None, "speaker"):
        speaker = _speaker(output, microphone)
        return microphone, await stack.enter_async_context(speaker)
    card = SoundCard(input=False, output_device=desk.output_device, notice=notice)
    try:
        return microphone, await stack.enter_async_context(card.speaker)
    except (AudioUnavailable, DeviceNotFound) as error:
        if output is not None or isinstance(desk.output_device, int | str):
            raise
        notice(f"{error.message}: the agent's voice is not heard, only shown")
        return microphone, await stack.enter_async_context(NullSpeaker())


async def _open_for_a_person(
    output: str | None,
    desk: AudioOptions,
    stack: contextlib.AsyncExitStack,
    notice: Notice,
) -> _Devices:
    elsewhere = None if output in (None, "speaker") else output
    recorded, speaker = await open_desk(
        desk, stack, notice, with_speaker=elsewhere is None
    )
    microphone = await stack.enter_async_context(MixedMicrophone(recorded))
    if elsewhere is not None:
        speaker = await stack.enter_async_context(_speaker(elsewhere))
    assert speaker is not None, "a desk without a speaker has one elsewhere"
    return microphone, speaker


def _microphone(kind: str) -> Microphone:
    match kind:
        case "text" | "lines":
            return InjectedMicrophone()
        case "none":
            return SilentMicrophone()
        case path:
            return FileMicrophone(Path(path))


def _speaker(output: str, microphone: Microphone | None = None) -> Speaker:
    match output:
        case "null":
            return NullSpeaker()
        case path:
            # A recording begins with the file that is played, to lie beside it.
            file = microphone if isinstance(microphone, FileMicrophone) else None
            return FileSpeaker(Path(path), begins_with=file)


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there, or is no path at all
        return False


async def _each(lines: Sequence[str]) -> AsyncIterator[str]:
    for line in lines:
        yield line


async def _obeyed(
    typed: AsyncIterator[Typed], controls: Controls, *, is_all: bool = True
) -> AsyncIterator[str]:
    """Yield the words of what is typed, obey the commands; ends with `/end`.

    The end of the keyboard ends it only if typing `is_all` that the caller does.
    """
    async for each in typed:
        match each:
            case SayText(text):
                yield text
            case End():
                return
            case command:
                controls.perform(command)
    if not is_all:
        await asyncio.Event().wait()


async def _read_ahead(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yield lines; a command is obeyed while the line before it is being spoken."""
    ahead: asyncio.Queue[str | None] = asyncio.Queue()

    async def read() -> None:
        async for line in lines:
            ahead.put_nowait(line)
        ahead.put_nowait(None)

    reading = asyncio.create_task(read())
    try:
        while (line := await ahead.get()) is not None:
            yield line
    finally:
        reading.cancel()
