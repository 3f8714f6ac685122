"""What PortAudio lists, as plain data that goes from one process to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

from runner.audio.portaudio.library import Direction, PortAudio


@dataclass(frozen=True, slots=True)
class ListedDevice:
    """A device with both its sides; channels are as many as it has."""

    index: int
    name: str
    host: str  # the host API: ALSA, Core Audio, Windows WASAPI, ...
    inputs: int
    outputs: int
    rate: int  # its own default, in hertz
    defaults: tuple[Direction, ...] = ()  # the sides for which it is the system's

    @property
    def sides(self) -> tuple[Direction, ...]:
        """Which of microphone and speaker it is."""
        sides: list[Direction] = []
        if self.inputs:
            sides.append("input")
        if self.outputs:
            sides.append("output")
        return tuple(sides)

    def to_json(self) -> dict[str, Any]:
        """Return it for JSON; `from_json` is the way back."""
        return asdict(self)

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> ListedDevice:
        """Return what `to_json` was given."""
        return ListedDevice(**{**fields, "defaults": tuple(fields["defaults"])})


def list_devices(library: PortAudio) -> list[ListedDevice]:
    """Return all devices that PortAudio knew when it was started, by their numbers."""
    defaults = {side: _default(library, side) for side in get_args(Direction)}
    return [
        ListedDevice(
            index=int(info["index"]),
            name=str(info["name"]),
            host=str(library.query_hostapis(info["hostapi"])["name"]),
            inputs=int(info["max_input_channels"]),
            outputs=int(info["max_output_channels"]),
            rate=round(info["default_samplerate"]),
            defaults=tuple(
                side for side, index in defaults.items() if index == info["index"]
            ),
        )
        for info in library.query_devices()
    ]


def _default(library: PortAudio, side: Direction) -> int | None:
    try:
        return int(library.query_devices(kind=side)["index"])
    except (library.PortAudioError, ValueError):
        return None  # there is none
