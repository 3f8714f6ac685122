"""PortAudio: loading the library, finding and listing devices."""

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
    """A device that was used before; the default device replaces it if it is missing.

    Identified by its whole name, because indices change with the connected devices.
    """

    name: str
    host: str


# An index, a name or part of it; a device used before; or None for the default.
DeviceName: TypeAlias = int | str | KnownDevice | None

WITHOUT_SOUND_CARD = (
    "without a sound card: --input FILE.wav|text|none with --output FILE.wav|null, "
    "or --say LINE"
)
NOUNS: Mapping[Direction, str] = {"input": "microphone", "output": "speaker"}
# Command that installs PortAudio, by ID or ID_LIKE of os-release.
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
    """A stream of sounddevice; the latency is in seconds, a pair for duplex."""

    @property
    def latency(self) -> float | tuple[float, float]: ...

    def start(self) -> None: ...

    def close(self, ignore_errors: bool = True) -> None: ...


class PortAudio(Protocol):
    """The part of the module `sounddevice` that is used."""

    PortAudioError: type[Exception]

    def query_devices(self, device: Any = None, kind: Any = None) -> Any: ...

    def query_hostapis(self, index: int) -> Mapping[str, Any]: ...

    def _exit_handler(self) -> None: ...

    def _terminate(self) -> None: ...

    def _initialize(self) -> None: ...

    def check_input_settings(self, **settings: Any) -> None: ...

    def check_output_settings(self, **settings: Any) -> None: ...

    # The names are those of sounddevice.
    def RawStream(self, **settings: Any) -> Stream: ...

    def RawInputStream(self, **settings: Any) -> Stream: ...

    def RawOutputStream(self, **settings: Any) -> Stream: ...


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """One direction of a device, with its format."""

    index: int
    name: str
    direction: Direction
    host: str  # the host API: ALSA, Core Audio, Windows WASAPI, ...
    rate: int  # hertz; its default until it is opened
    channels: int  # all that it has; once opened, those in use
    is_float: bool = False  # takes float32 only

    @property
    def known(self) -> KnownDevice:
        """Identifies the device after it was gone or got another index."""
        return KnownDevice(self.name, self.host)

    def __str__(self) -> str:
        return f"{NOUNS[self.direction]} '{self.name}'"


def load_portaudio(
    import_module: Callable[[str], Any] = importlib.import_module,
) -> PortAudio:
    """Loads sounddevice and with it PortAudio; raises AudioUnavailable."""
    try:
        return cast("PortAudio", import_module("sounddevice"))
    except ImportError as error:
        raise AudioUnavailable(
            "audio devices need the package sounddevice, which is not installed",
            hint=f"pip install sounddevice; {WITHOUT_SOUND_CARD}",
        ) from error
    except OSError as error:
        # On Linux the Python package does not include the library.
        raise AudioUnavailable(
            "audio devices need the PortAudio library, which is not installed",
            hint=f"{install_command()}; {WITHOUT_SOUND_CARD}",
        ) from error


def install_command(system: str = sys.platform, linux: Sequence[str] = ()) -> str:
    """Returns the command that installs PortAudio.

    `linux` overrides the distribution names of this machine.
    """
    if system == "darwin":
        return "brew install portaudio"
    if system == "win32":
        # The wheel includes PortAudio.
        return "pip install --force-reinstall sounddevice"
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
    """Finds a device by index, name or unique part of its name; None: the default.

    Raises:
        AudioUnavailable: the machine has no device for this direction.
        DeviceNotFound: no device, or more than one, has that name.
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
        count = "no" if not found else "more than one"
        label = wanted.name if isinstance(wanted, KnownDevice) else wanted
        names = ", ".join(f"{i['index']} '{i['name']}'" for i in found or known)
        raise DeviceNotFound(
            f"{count} {NOUNS[direction]} matches '{label}'",
            hint=f"give the number or a unique part of the name: {names}",
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
        f"PortAudio finds no {NOUNS[direction]} on this machine",
        hint=f"connect one and start again; {WITHOUT_SOUND_CARD}",
    )


def refresh(library: PortAudio) -> None:
    """Makes PortAudio list the connected devices again.

    All streams must be closed; device indices change.
    """
    # PortAudio lists them only when it is initialized. sounddevice has no public way;
    # its documentation recommends these two calls.
    with contextlib.suppress(library.PortAudioError):
        library._terminate()  # fails if the last initialization failed
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
        # Windows lists each device once per host API, in order of preference.
        return found[:1]
    return found


@dataclass(frozen=True, slots=True)
class ListedDevice:
    """A device with both directions and all its channels; JSON serializable."""

    index: int
    name: str
    host: str  # the host API: ALSA, Core Audio, Windows WASAPI, ...
    inputs: int
    outputs: int
    rate: int  # its default, in hertz
    defaults: tuple[Direction, ...] = ()  # directions for which it is the default

    @property
    def sides(self) -> tuple[Direction, ...]:
        """The directions that the device supports."""
        sides: list[Direction] = []
        if self.inputs:
            sides.append("input")
        if self.outputs:
            sides.append("output")
        return tuple(sides)

    def to_json(self) -> dict[str, Any]:
        """Returns the fields for JSON."""
        return asdict(self)

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> ListedDevice:
        """Returns the device of the fields from `to_json`."""
        return ListedDevice(**{**fields, "defaults": tuple(fields["defaults"])})


def list_devices(library: PortAudio) -> list[ListedDevice]:
    """Returns the devices that PortAudio found when it was initialized, by index."""
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
