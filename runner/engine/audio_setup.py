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
import os
import re
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

from runner.audio.devices import Microphone, Speaker
from runner.audio.echo import (
    INSTALL_COMMAND,
    AudioProcessor,
    EchoCanceller,
    HalfDuplexGate,
    is_canceller_available,
    require_canceller,
)
from runner.audio.files import FileMicrophone, FileSpeaker
from runner.audio.pcm import Samples
from runner.audio.portaudio.library import DeviceName, PortAudio
from runner.audio.portaudio.soundcard import SoundCard
from runner.audio.virtual import (
    InjectedMicrophone,
    MixedMicrophone,
    NullSpeaker,
    SilentMicrophone,
)
from runner.engine.caller import Notice, ScriptedCaller
from runner.engine.controls import Controls, End, SayText, Typed, parse_line
from runner.errors import AudioUnavailable, DeviceNotFound, UsageError

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


# A person at a desk: the sound card as a call uses it.


# In names of outputs that put no sound into the room, on all platforms; and in names of
# those that may do so all the same: "Speakers / Headphones" are one jack and a laptop's
# own. Hands-free is what Windows calls telephones for a whole room, too. To cancel echo
# where there is none costs nothing but CPU time, so what is in doubt is a speaker.
_WORN = re.compile(
    r"head(phone|set)|ear(phone|bud|pod)|air ?pods|kopfhörer|casque|auricular|\bbuds",
    re.IGNORECASE,
)
_LOUD = re.compile(r"speaker|lautsprecher|haut-?parleur|altavo", re.IGNORECASE)

# What is done about the agent's voice in the microphone: it is cancelled, it is not, or
# nobody listens while the agent speaks; auto finds out what is possible and needed.
EchoMode: TypeAlias = Literal["auto", "on", "off", "half-duplex"]


_ECHO_MODES = get_args(EchoMode)


def read_echo_mode(text: str) -> EchoMode:
    """Return a mode as it is written; raises UsageError."""
    if text not in _ECHO_MODES:
        raise UsageError(f"--echo is {', '.join(_ECHO_MODES)}, not '{text}'")
    return cast("EchoMode", text)


def is_headphones(name: str) -> bool:
    """Whether an output of this name is worn, as far as its name tells."""
    return _WORN.search(name) is not None and _LOUD.search(name) is None


@dataclass(frozen=True, slots=True)
class AudioOptions:
    """Which devices, by index, name or a part of it, and what is done about echo.

    With `headphones` there is no echo, whatever the output is called.
    """

    input_device: DeviceName = None
    output_device: DeviceName = None
    echo: EchoMode = "auto"
    headphones: bool = False
    noise_suppression: bool = False


@dataclass(frozen=True, slots=True)
class EchoChoice:
    """What is done about echo, and the words to the person about it."""

    mode: Literal["cancel", "half-duplex", "nothing"]
    why: str | None = None


def choose_echo(wishes: AudioOptions, speaker: str, can_cancel: bool) -> EchoChoice:
    """Choose for a speaker of this name."""
    if wishes.headphones or wishes.echo == "off":
        return EchoChoice("nothing")
    if wishes.echo == "half-duplex":
        return EchoChoice("half-duplex", _HALF_DUPLEX)
    if wishes.echo == "auto" and is_headphones(speaker):
        return EchoChoice("nothing", f"echo: none expected of '{speaker}'")
    if wishes.echo == "on" or can_cancel:
        return EchoChoice("cancel", _CANCELLED)
    return EchoChoice(
        "half-duplex",
        f"{_HALF_DUPLEX}; to change that: {INSTALL_COMMAND}, or --headphones",
    )


_CANCELLED = "echo: the agent's voice is taken out of the microphone"
_HALF_DUPLEX = (
    "echo: nobody listens while the agent speaks, so your voice cannot interrupt it"
)


class AdaptiveAudioProcessor:
    """What is done about echo, chosen anew whenever another speaker is taken up.

    Says what was chosen, whenever that has changed.
    """

    def __init__(self, wishes: AudioOptions, notice: Notice) -> None:
        """Raise AudioUnavailable when what is asked for needs a missing package."""
        if wishes.echo == "on" or wishes.noise_suppression:
            require_canceller()
        self._wishes = wishes
        self._notice = notice
        self._can_cancel = is_canceller_available()
        self._choice: EchoChoice | None = None
        self._chosen: AudioProcessor | None = None

    def attach(self, rate: int, channels: int, name: str = "") -> None:
        """Make ready for this speaker; without any, what was chosen stays."""
        choice = choose_echo(self._wishes, name, self._can_cancel)
        if name and choice != self._choice:
            self._choice, self._chosen = choice, self._make(choice)
            if choice.why is not None:
                self._notice(choice.why)
        if self._chosen is not None:
            self._chosen.attach(rate, channels, name)

    def played(self, pcm: bytes, at: float) -> None:
        """Take note of a block; in PortAudio's thread."""
        if self._chosen is not None:
            self._chosen.played(pcm, at)

    def process(self, samples: Samples, at: float) -> Samples:
        """Take what was recorded from this time on; return what goes on."""
        return samples if self._chosen is None else self._chosen.process(samples, at)

    def _make(self, choice: EchoChoice) -> AudioProcessor | None:
        noise = self._wishes.noise_suppression
        if choice.mode == "cancel":
            return EchoCanceller(noise=noise)
        quiet = EchoCanceller(echo=False, noise=True) if noise else None
        return HalfDuplexGate(quiet) if choice.mode == "half-duplex" else quiet


async def open_desk(
    wishes: AudioOptions,
    stack: contextlib.AsyncExitStack,
    notice: Notice,
    *,
    with_speaker: bool = True,
    library: PortAudio | None = None,
) -> tuple[Microphone, Speaker | None]:
    """Open the sound card for a person; with its speaker, or the microphone alone.

    Raises:
        AudioUnavailable, DeviceNotFound: there is none, or none of that name; or echo
            is to be cancelled and the package for it is missing.
    """
    # One duplex stream where that can be: macOS refuses two on one device.
    card = SoundCard(
        output=with_speaker,
        input_device=wishes.input_device,
        output_device=wishes.output_device,
        notice=notice,
        front_end=_front_end(wishes, with_speaker, notice),
        library=library,
    )
    await stack.enter_async_context(card)
    return card.microphone, card.speaker if with_speaker else None


def _front_end(
    wishes: AudioOptions, with_speaker: bool, notice: Notice
) -> AudioProcessor | None:
    if with_speaker:
        return AdaptiveAudioProcessor(wishes, notice)
    if wishes.noise_suppression:
        return EchoCanceller(echo=False, noise=True)
    return None


# Lines of standard input as they come, without holding the event loop up.


def is_terminal() -> bool:
    """Whether stdin is a terminal, so that a person may type."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def is_in_foreground() -> bool:
    """Whether the terminal's keyboard is this process's to read.

    A job in the background that reads from its terminal is stopped by the system.
    """
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:  # not the terminal of this session: nobody stops us
        return True


async def typed_lines() -> AsyncIterator[str]:
    """Yield what is typed or piped in, line by line, leaving out empty lines.

    A daemon thread reads, because a blocking read of a terminal can be ended neither by
    cancelling nor by closing; it must not hold the exit up.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    def put(line: str | None) -> None:
        try:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        except RuntimeError:  # the loop is closed: the call is over
            sys.exit()

    def read() -> None:
        try:
            for line in sys.stdin or ():
                put(line)
        except (OSError, ValueError):  # closed under our hands: the input is over
            pass
        put(None)

    threading.Thread(target=read, name="keyboard", daemon=True).start()
    while (line := await lines.get()) is not None:
        if text := line.strip():
            yield text
