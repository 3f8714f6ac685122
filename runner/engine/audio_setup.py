"""Audio setup of a call: microphone, speaker, echo handling and the input of a caller.

| input | microphone             | caller                 | end of the call            |
|-------|------------------------|------------------------|----------------------------|
| mic   | the sound card         | a person, who may type | Ctrl-C, the agent          |
| FILE  | the file, then silence | the file               | the end of its last answer |
| text  | silence                | the lines of stdin     | the end of the input       |
| lines | silence                | `--say`, one by one    | the end of the last answer |
| none  | silence                | none                   | the end of the greeting    |

Lines of stdin that begin with a slash are commands. At a terminal commands and text
take effect immediately; lines from a pipe wait for the agent to finish.
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
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args

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
from runner.audio.virtual import (
    InjectedMicrophone,
    MixedMicrophone,
    NullSpeaker,
    SilentMicrophone,
)
from runner.engine.caller import Notice, ScriptedCaller
from runner.engine.controls import Controls, End, SayText, Typed, parse_line
from runner.errors import AudioUnavailable, DeviceNotFound, UsageError

if TYPE_CHECKING:
    from runner.audio.portaudio.library import DeviceName, PortAudio

# After the end of a file the service may wait for the rest of the turn: the longest
# default of a known service is 3 s.
FILE_QUIET_SECONDS = 3.5
NO_INPUT_QUIET_SECONDS = 2.0
TYPING_HINT = "type to speak, /end hangs up, /help lists commands"


# Yields typed text and commands until the end of the input.
Typing: TypeAlias = Callable[[], AsyncIterator[Typed]]


async def _typed_lines() -> AsyncIterator[Typed]:
    async for line in typed_lines():
        yield parse_line(line)


@dataclass(frozen=True, slots=True)
class LocalEndpoint:
    """The open devices of a call and the input of the caller.

    `typing` reads keys for a view that draws them; None: lines of stdin are read.
    """

    input: str
    microphone: Microphone
    speaker: Speaker
    lines: Sequence[str] = ()
    typing: Typing | None = None

    async def drive(self, caller: ScriptedCaller, controls: Controls) -> None:
        """Delivers the caller's input until it is cancelled."""
        perform = partial(_perform_commands, caller, controls)
        match self.microphone:
            case FileMicrophone() as file:
                await file.finished.wait()
                await caller.hang_up_when_quiet(FILE_QUIET_SECONDS)
            case InjectedMicrophone() if self.lines:
                await caller.say_in_turn(_iterate(self.lines))
            case InjectedMicrophone() if is_terminal():
                lines = perform(self._typed(controls))
                await caller.say_immediately(_read_ahead(lines))
            case InjectedMicrophone():
                await caller.say_in_turn(perform(_typed_lines()))
            case SilentMicrophone():
                await caller.hang_up_when_quiet(NO_INPUT_QUIET_SECONDS)
            case MixedMicrophone() if is_terminal() and is_in_foreground():
                lines = perform(self._typed(controls), is_all=False)
                await caller.say_immediately(_read_ahead(lines))
            case _:
                pass
        # The engine ends the call and cancels this.
        await asyncio.Event().wait()

    def _typed(self, controls: Controls) -> AsyncIterator[Typed]:
        if self.typing is not None:
            return self.typing()
        controls.notice(TYPING_HINT)
        return _typed_lines()


@contextlib.asynccontextmanager
async def open_endpoint(
    input: str | None,
    output: str | None,
    lines: Sequence[str],
    notice: Notice,
    audio: AudioOptions,
) -> AsyncIterator[LocalEndpoint]:
    """Opens the devices; by default the microphone and speaker of the sound card.

    Raises:
        UsageError: the options contradict each other.
        AudioError, FileUnreadable: a device or a file cannot be opened.
    """
    if lines and input not in (None, "none"):
        raise UsageError(
            f"--say replaces the microphone and cannot be combined with --input {input}"
        )
    if input and output and _is_same_file(Path(input), Path(output)):
        raise UsageError(f"--output would overwrite the input {input}")
    kind = "lines" if lines else input or "mic"
    async with contextlib.AsyncExitStack() as stack:
        microphone, speaker = await _open(kind, output, audio, stack, notice)
        yield LocalEndpoint(kind, microphone, speaker, tuple(lines))


_Devices: TypeAlias = tuple[Microphone, Speaker]


async def _open(
    kind: str,
    output: str | None,
    audio: AudioOptions,
    stack: contextlib.AsyncExitStack,
    notice: Notice,
) -> _Devices:
    if kind == "mic":
        return await _open_microphone(output, audio, stack, notice)
    # The input file first: an unreadable one must not leave an output file behind.
    microphone: Microphone = await stack.enter_async_context(_microphone(kind))
    if output not in (None, "speaker"):
        speaker = _speaker(output, microphone)
        return microphone, await stack.enter_async_context(speaker)
    # Imported only where a device is opened: tests and replays have none.
    from runner.audio.portaudio.soundcard import SoundCard

    card = SoundCard(input=False, output_device=audio.output_device, notice=notice)
    try:
        return microphone, await stack.enter_async_context(card.speaker)
    except (AudioUnavailable, DeviceNotFound) as error:
        if output is not None or isinstance(audio.output_device, int | str):
            raise
        notice(f"{error.message}: the agent's words are shown without audio")
        return microphone, await stack.enter_async_context(NullSpeaker())


async def _open_microphone(
    output: str | None,
    audio: AudioOptions,
    stack: contextlib.AsyncExitStack,
    notice: Notice,
) -> _Devices:
    other_output = None if output in (None, "speaker") else output
    recorded, speaker = await open_sound_card(
        audio, stack, notice, with_speaker=other_output is None
    )
    microphone = await stack.enter_async_context(MixedMicrophone(recorded))
    if other_output is not None:
        speaker = await stack.enter_async_context(_speaker(other_output))
    assert speaker is not None, "without a speaker there is another output"
    return microphone, speaker


def _microphone(kind: str) -> Microphone:
    match kind:
        case "text" | "lines":
            return InjectedMicrophone()
        case "none":
            return SilentMicrophone()
        case path:
            return FileMicrophone(Path(path).expanduser())


def _speaker(output: str, microphone: Microphone | None = None) -> Speaker:
    match output:
        case "null":
            return NullSpeaker()
        case path:
            # A recording starts with the input file, so that they can be compared.
            file = microphone if isinstance(microphone, FileMicrophone) else None
            return FileSpeaker(Path(path).expanduser(), begins_with=file)


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.expanduser().samefile(other.expanduser())
    except (OSError, RuntimeError):  # one does not exist, or is not a path
        return False


async def _iterate(lines: Sequence[str]) -> AsyncIterator[str]:
    for line in lines:
        yield line


async def _perform_commands(
    caller: ScriptedCaller,
    controls: Controls,
    typed: AsyncIterator[Typed],
    *,
    is_all: bool = True,
) -> AsyncIterator[str]:
    """Yields typed text and performs commands; ends with `/end`.

    The end of the input ends it only if `is_all`: without a microphone.
    """
    async for each in typed:
        match each:
            case SayText(text):
                yield text
            case End():
                caller.hang_up_reason = "you ended the call"
                return
            case command:
                controls.perform(command)
    if not is_all:
        await asyncio.Event().wait()


async def _read_ahead(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yields lines; reads ahead, so that commands do not wait for a spoken line."""
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


# Names of headphones on all platforms, and of outputs that may be speakers all the
# same: "Speakers / Headphones" are a jack and the speakers of a laptop. "Hands-free" is
# not in the list, because Windows uses it for conference phones too. In doubt an output
# is a speaker: cancelling without an echo costs only CPU time.
_HEADPHONES = re.compile(
    r"head(phone|set)|ear(phone|bud|pod)|air ?pods|kopfhörer|casque|auricular|\bbuds",
    re.IGNORECASE,
)
_LOUDSPEAKERS = re.compile(r"speaker|lautsprecher|haut-?parleur|altavo", re.IGNORECASE)

# Handling of the agent's voice in the microphone: cancelled, not cancelled, or muted
# while the agent speaks; `auto` selects by the output and the installed packages.
EchoMode: TypeAlias = Literal["auto", "on", "off", "half-duplex"]
_ECHO_MODES = get_args(EchoMode)


def read_echo_mode(text: str) -> EchoMode:
    """Returns the mode of this name; raises UsageError."""
    if text not in _ECHO_MODES:
        raise UsageError(
            f"'{text}' is not an echo mode",
            hint=f"--echo takes {', '.join(_ECHO_MODES)}",
        )
    return cast("EchoMode", text)


def is_headphones(name: str) -> bool:
    """True if the name of an output indicates headphones."""
    return _HEADPHONES.search(name) is not None and _LOUDSPEAKERS.search(name) is None


@dataclass(frozen=True, slots=True)
class AudioOptions:
    """Devices, by index, name or part of a name, and the handling of echo.

    With `headphones` no echo is expected, regardless of the name of the output.
    """

    input_device: DeviceName = None
    output_device: DeviceName = None
    echo: EchoMode = "auto"
    headphones: bool = False
    noise_suppression: bool = False


@dataclass(frozen=True, slots=True)
class EchoChoice:
    """The handling of echo, and the notice about it."""

    mode: Literal["cancel", "half-duplex", "nothing"]
    why: str | None = None


def choose_echo(options: AudioOptions, speaker: str, can_cancel: bool) -> EchoChoice:
    """Returns the handling of echo for a speaker of this name."""
    if options.headphones or options.echo == "off":
        return EchoChoice("nothing")
    if options.echo == "half-duplex":
        return EchoChoice("half-duplex", _HALF_DUPLEX)
    if options.echo == "auto" and is_headphones(speaker):
        return EchoChoice("nothing", f"echo: none expected with '{speaker}'")
    if options.echo == "on" or can_cancel:
        return EchoChoice("cancel", _CANCELLED)
    return EchoChoice(
        "half-duplex",
        f"{_HALF_DUPLEX}; to change that: {INSTALL_COMMAND}, or --headphones",
    )


_CANCELLED = "echo: the agent's voice is removed from the microphone audio"
_HALF_DUPLEX = (
    "echo: the microphone is muted while the agent speaks, so you cannot interrupt it"
)


class AdaptiveAudioProcessor:
    """Selects the handling of echo for each speaker, and reports each change."""

    def __init__(self, options: AudioOptions, notice: Notice) -> None:
        """Raises AudioUnavailable if the options need a missing package."""
        if options.echo == "on" or options.noise_suppression:
            require_canceller()
        self._options = options
        self._notice = notice
        self._can_cancel = is_canceller_available()
        self._choice: EchoChoice | None = None
        self._processor: AudioProcessor | None = None

    def attach(self, rate: int, channels: int, name: str = "") -> None:
        """Selects the processor for this speaker; keeps it if `name` is empty."""
        choice = choose_echo(self._options, name, self._can_cancel)
        if name and choice != self._choice:
            self._choice, self._processor = choice, self._make(choice)
            if choice.why is not None:
                self._notice(choice.why)
        if self._processor is not None:
            self._processor.attach(rate, channels, name)

    def played(self, pcm: bytes, at: float) -> None:
        """Queues a played block; in the PortAudio thread."""
        if self._processor is not None:
            self._processor.played(pcm, at)

    def process(self, samples: Samples, at: float) -> Samples:
        """Returns the processed samples of audio that was recorded from `at`."""
        return (
            samples if self._processor is None else self._processor.process(samples, at)
        )

    def _make(self, choice: EchoChoice) -> AudioProcessor | None:
        noise = self._options.noise_suppression
        if choice.mode == "cancel":
            return EchoCanceller(noise=noise)
        quiet = EchoCanceller(echo=False, noise=True) if noise else None
        return HalfDuplexGate(quiet) if choice.mode == "half-duplex" else quiet


async def open_sound_card(
    options: AudioOptions,
    stack: contextlib.AsyncExitStack,
    notice: Notice,
    *,
    with_speaker: bool = True,
    library: PortAudio | None = None,
) -> tuple[Microphone, Speaker | None]:
    """Opens the sound card; with its speaker, or only its microphone.

    Raises:
        AudioUnavailable: a device is missing, or echo cancellation was requested and
            its package is missing.
        DeviceNotFound: no device has the requested name.
    """
    # One card, for a duplex stream if possible: macOS refuses two on one device.
    from runner.audio.portaudio.soundcard import SoundCard

    card = SoundCard(
        output=with_speaker,
        input_device=options.input_device,
        output_device=options.output_device,
        notice=notice,
        front_end=_front_end(options, with_speaker, notice),
        library=library,
    )
    await stack.enter_async_context(card)
    return card.microphone, card.speaker if with_speaker else None


def _front_end(
    options: AudioOptions, with_speaker: bool, notice: Notice
) -> AudioProcessor | None:
    if with_speaker:
        return AdaptiveAudioProcessor(options, notice)
    if options.noise_suppression:
        return EchoCanceller(echo=False, noise=True)
    return None


def is_terminal() -> bool:
    """True if stdin is a terminal."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def is_in_foreground() -> bool:
    """True if this process may read from the terminal.

    The system stops a background job that reads from its terminal.
    """
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:  # not the terminal of this session
        return True


async def typed_lines() -> AsyncIterator[str]:
    """Yields the lines of stdin, stripped, without empty lines."""
    # A daemon thread, because a blocking read of a terminal cannot be ended by
    # cancelling or closing, and must not delay the exit.
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
        except (OSError, ValueError):  # closed meanwhile: the end of the input
            pass
        put(None)

    threading.Thread(target=read, name="keyboard", daemon=True).start()
    while (line := await lines.get()) is not None:
        if text := line.strip():
            yield text
