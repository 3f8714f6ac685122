"""A person at a desk: the sound card as a call uses it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

from runner.audio.devices import Microphone, Speaker
from runner.audio.portaudio import DeviceName
from runner.audio.soundcard import SoundCard
from runner.caller import Notice
from runner.errors import UsageError

# What is done about the agent's voice in the microphone: it is cancelled, it is not, or
# nobody listens while the agent speaks; auto finds out what is possible and needed.
EchoMode: TypeAlias = Literal["auto", "on", "off", "half-duplex"]


_ECHO_MODES = get_args(EchoMode)


def read_echo_mode(text: str) -> EchoMode:
    """Return a mode as it is written; raises UsageError."""
    if text not in _ECHO_MODES:
        raise UsageError(f"--echo is {', '.join(_ECHO_MODES)}, not '{text}'")
    return cast("EchoMode", text)


@dataclass(frozen=True, slots=True)
class DeskWishes:
    """Which devices, by index, name or a part of it, and what is done about echo.

    With `headphones` there is no echo, whatever the output is called.
    """

    input_device: DeviceName = None
    output_device: DeviceName = None
    echo: EchoMode = "auto"
    headphones: bool = False
    noise_suppression: bool = False


async def open_desk(
    wishes: DeskWishes,
    stack: contextlib.AsyncExitStack,
    notice: Notice,
    *,
    with_speaker: bool = True,
) -> tuple[Microphone, Speaker | None]:
    """Open the sound card for a person; with its speaker, or the microphone alone.

    Raises:
        AudioUnavailable, DeviceNotFound: there is none, or none of that name.
    """
    # One duplex stream where that can be: macOS refuses two on one device.
    card = SoundCard(
        output=with_speaker,
        input_device=wishes.input_device,
        output_device=wishes.output_device,
        notice=notice,
    )
    await stack.enter_async_context(card)
    return card.microphone, card.speaker if with_speaker else None
