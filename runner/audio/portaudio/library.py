"""PortAudio as vagent sees it: loading the library and finding devices.

Whatever is missing becomes a sentence here.
"""

from __future__ import annotations

import contextlib
import importlib
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, TypeAlias, cast, get_args

from runner.errors import AudioUnavailable, DeviceNotFound

Direction: TypeAlias = Literal["input", "output"]


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device that was used before; where it is not, the default will do.

    Numbers change with what is plugged in, so it goes by its whole name.
    """

    name: str
    host: str


# By index, name or part of it; one that was used before; or the default.
DeviceName: TypeAlias = int | str | KnownDevice | None

WITHOUT_SOUND_CARD = (
    "without a sound card: --input FILE.wav|text|none with --output FILE.wav|null, "
    "or --say LINE"
)
NOUNS: Mapping[Direction, str] = {"input": "microphone", "output": "speaker"}
# Distributions by ID or ID_LIKE of os-release, and what brings them PortAudio.
_LINUX_PACKAGES = {
    "debian": "sudo apt install libportaudio2",
    "ubuntu": "sudo apt install libportaudio2",
    "fedora": "sudo dnf install portaudio",
    "rhel": "sudo dnf install portaudio",
    "suse": "sudo zypper install libportaudio2",
    "arch": "sudo pacman -S portaudio",
    "alpine": "sudo apk add portaudio",
}


class Stream(Protocol):
    """A stream of sounddevice's; seconds of latency, a pair for duplex."""

    @property
    def latency(self) -> float | tuple[float, float]: ...

    def start(self) -> None: ...

    def close(self, ignore_errors: bool = True) -> None: ...


class PortAudio(Protocol):
    """What is used of the module `sounddevice`; tests give another one."""

    PortAudioError: type[Exception]

    def query_devices(self, device: Any = None, kind: Any = None) -> Any: ...

    def query_hostapis(self, index: int) -> Mapping[str, Any]: ...

    def _exit_handler(self) -> None: ...

    def _terminate(self) -> None: ...

    def _initialize(self) -> None: ...

    def check_input_settings(self, **settings: Any) -> None: ...

    def check_output_settings(self, **settings: Any) -> None: ...

    # The names are sounddevice's own.
    def RawStream(self, **settings: Any) -> Stream: ...

    def RawInputStream(self, **settings: Any) -> Stream: ...

    def RawOutputStream(self, **settings: Any) -> Stream: ...


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """One side of a device, with how it is or could be opened."""

    index: int
    name: str
    direction: Direction
    host: str  # the host API: ALSA, Core Audio, Windows WASAPI, ...
    rate: int  # its own default, in hertz
    channels: int  # as many as it has; once opened, as many as are used
    is_float: bool = False  # whether it takes float32 and nothing else

    @property
    def known(self) -> KnownDevice:
        """What to look for when it was gone or has another number."""
        return KnownDevice(self.name, self.host)

    def __str__(self) -> str:
        return f"{NOUNS[self.direction]} '{self.name}'"


def load_portaudio(
    import_module: Callable[[str], Any] = importlib.import_module,
) -> PortAudio:
    """Load sounddevice and with it PortAudio; raises AudioUnavailable."""
    try:
        return cast("PortAudio", import_module("sounddevice"))
    except ImportError as error:
        raise AudioUnavailable(
            "sound needs the package sounddevice, which is not installed",
            hint=f"pip install sounddevice; {WITHOUT_SOUND_CARD}",
        ) from error
    except OSError as error:
        # The Python part is there, but on Linux it does not bring the library.
        raise AudioUnavailable(
            "sound needs the PortAudio library, which is not installed",
            hint=f"{install_command()}; {WITHOUT_SOUND_CARD}",
        ) from error


def install_command(system: str = sys.platform, linux: Sequence[str] = ()) -> str:
    """Return what installs PortAudio; `linux` overrides this machine's distribution."""
    if system == "darwin":
        return "brew install portaudio"
    if system == "win32":
        return "pip install --force-reinstall sounddevice"  # its wheel brings PortAudio
    for name in linux or _linux_names():
        if name in _LINUX_PACKAGES:
            return _LINUX_PACKAGES[name]
    return "install PortAudio (Debian, Ubuntu: libportaudio2; Fedora, Arch: portaudio)"


def _linux_names() -> list[str]:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return []
    return [release.get("ID", ""), *release.get("ID_LIKE", "").split()]


def find_device(
    library: PortAudio, wanted: DeviceName, direction: Direction
) -> SoundDevice:
    """Find a device by index, name or unique part of its name; None: the default.

    Raises AudioUnavailable when there is none at all, DeviceNotFound when none or more
    than one goes by that name.
    """
    key = f"max_{direction}_channels"
    try:
        known = [info for info in library.query_devices() if info[key] > 0]
        found = (
            [library.query_devices(kind=direction)]
            if wanted is None
            else _match(library, known, wanted)
        )
    except (library.PortAudioError, ValueError) as error:
        raise _no_device(direction) from error
    if not known:
        raise _no_device(direction)
    if len(found) != 1:
        what = "no" if not found else "more than one"
        label = wanted.name if isinstance(wanted, KnownDevice) else wanted
        names = ", ".join(f"{i['index']} '{i['name']}'" for i in found or known)
        raise DeviceNotFound(
            f"{what} {NOUNS[direction]} goes by '{label}'",
            hint=f"by number or by a unique part of the name: {names}",
        )
    info = found[0]
    return SoundDevice(
        index=int(info["index"]),
        name=str(info["name"]),
        direction=direction,
        host=str(library.query_hostapis(info["hostapi"])["name"]),
        rate=round(info["default_samplerate"]),
        channels=int(info[key]),
    )


def _no_device(direction: Direction) -> AudioUnavailable:
    return AudioUnavailable(
        f"this machine has no {NOUNS[direction]} that PortAudio can find",
        hint=f"connect one and start again; {WITHOUT_SOUND_CARD}",
    )


def refresh(library: PortAudio) -> None:
    """Let PortAudio look again at what is plugged in: it does so only at its start.

    All streams must have been closed; indices are others afterwards.
    """
    # sounddevice offers no public way (its own advice is these two).
    with contextlib.suppress(library.PortAudioError):
        library._terminate()  # refused when the last start of it had failed
    library._initialize()


def _match(
    library: PortAudio,
    known: Sequence[Mapping[str, Any]],
    wanted: int | str | KnownDevice,
) -> list[Mapping[str, Any]]:
    if isinstance(wanted, KnownDevice):
        return [
            info
            for info in known
            if info["name"] == wanted.name
            and library.query_hostapis(info["hostapi"])["name"] == wanted.host
        ][:1]
    if isinstance(wanted, int) or wanted.isdecimal():
        return [info for info in known if info["index"] == int(wanted)]
    text = wanted.lower()
    found = [info for info in known if info["name"].lower() == text]
    found = found or [info for info in known if text in info["name"].lower()]
    if len({info["name"] for info in found}) == 1:
        # Windows shows each device once per host API; they come in order of preference.
        return found[:1]
    return found


# What PortAudio lists, as plain data that goes from one process to another.


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
