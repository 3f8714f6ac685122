"""A person at a desk: the sound card as a call uses it."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

from runner.audio.cancelling import INSTALL, is_available, require
from runner.audio.devices import Microphone, Speaker
from runner.audio.echo import AudioProcessor, EchoCanceller, HalfDuplexGate
from runner.audio.pcm import Samples
from runner.audio.portaudio.library import DeviceName, PortAudio
from runner.audio.portaudio.soundcard import SoundCard
from runner.engine.caller import Notice
from runner.errors import UsageError

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
        "half-duplex", f"{_HALF_DUPLEX}; to change that: {INSTALL}, or --headphones"
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
            require()
        self._wishes = wishes
        self._notice = notice
        self._can_cancel = is_available()
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

    def hear(self, samples: Samples, at: float) -> Samples:
        """Take what was recorded from this time on; return what goes on."""
        return samples if self._chosen is None else self._chosen.hear(samples, at)

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
