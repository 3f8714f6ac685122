"""Which devices a run uses: those of the command line, else those remembered."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer

from runner.audio.portaudio.library import Direction, KnownDevice
from runner.cli.schema import write_all
from runner.errors import FileUnreadable, UsageError

if TYPE_CHECKING:
    from runner.audio.portaudio.library import DeviceName, Direction, KnownDevice


def resolve_devices(
    input_device: str | None, output_device: str | None, remember: bool, forget: bool
) -> tuple[DeviceName, DeviceName]:
    """Return the microphone and the speaker to open; None is the system's.

    A device that is remembered, and is not there, gives way to the system's.

    Raises:
        UsageError: the wishes contradict each other, or what is remembered is broken.
        AudioUnavailable, DeviceNotFound: what is to be remembered is not there.
    """

    given: dict[Direction, str] = {}
    if input_device is not None:
        given["input"] = input_device
    if output_device is not None:
        given["output"] = output_device
    if remember and forget:
        raise UsageError("--remember-devices and --forget-devices exclude each other")
    if remember and not given:
        raise UsageError(
            "--remember-devices remembers devices that are named, and none is",
            hint="add --input-device or --output-device; vagent devices lists them",
        )
    path = default_file()
    if forget:
        done = "forgotten" if clear_devices(path) else "none were remembered"
        typer.echo(f"devices: {done}", err=True)
    known: dict[Direction, KnownDevice] = {}
    if remember:
        known = _find(given)
        save_devices(path, known)
        typer.echo(f"devices remembered in {path}", err=True)
    if len(given) < 2:
        known = {**load_devices(path), **known}
    return (
        given.get("input", known.get("input")),
        given.get("output", known.get("output")),
    )


def _find(given: dict[Direction, str]) -> dict[Direction, KnownDevice]:
    from runner.audio.portaudio.library import find_device, load_portaudio

    library = load_portaudio()
    return {side: find_device(library, it, side).known for side, it in given.items()}


# What a user of this machine wants remembered from one run to the next.
#
# `devices.toml` in the user's folder for settings: which microphone and which speaker.
# By name and host API: numbers change with what is plugged in.


FOLDER_VARIABLE = "VAGENT_CONFIG"
_FILE = "devices.toml"


def default_file() -> Path:
    """Return where devices are remembered: VAGENT_CONFIG, or the platform's folder."""
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen).expanduser() / _FILE
    import platformdirs

    return platformdirs.user_config_path("vagent", appauthor=False) / _FILE


def load_devices(path: Path) -> dict[Direction, KnownDevice]:
    """Return what is remembered, for neither, one or both sides.

    Raises `UsageError` for a file that was edited into something else, and
    `FileUnreadable`.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise FileUnreadable.from_os_error(path, "read", error) from error
    import tomllib

    try:
        values = tomllib.loads(data.decode("utf-8-sig"))
    except ValueError as error:  # of its syntax, or no UTF-8
        raise _unusable(path, f"is no TOML: {error}") from error
    return {
        side: _device(path, side, values[side])
        for side in get_args(Direction)
        if side in values
    }


def save_devices(path: Path, devices: Mapping[Direction, KnownDevice]) -> None:
    """Remember these, and of other sides what was remembered before."""
    known = {**load_devices(path), **devices}
    lines = [
        "# The devices of `vagent run`; --forget-devices deletes this file.",
        *(
            f"\n[{side}]\nname = {_quote(it.name)}\nhost = {_quote(it.host)}"
            for side, it in known.items()
        ),
        "",
    ]
    write_all({path: "\n".join(lines).encode()}, overwrite=True)


def clear_devices(path: Path) -> bool:
    """Forget both; tell whether anything was remembered. Raises `FileUnreadable`."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise FileUnreadable.from_os_error(path, "deleted", error) from error
    return True


def _device(path: Path, side: Direction, value: Any) -> KnownDevice:
    fields = value if isinstance(value, dict) else {}
    name, host = fields.get("name"), fields.get("host")
    if not isinstance(name, str) or not isinstance(host, str):
        raise _unusable(path, f"has no name and host, as text, for `{side}`")
    return KnownDevice(name, host)


def _unusable(path: Path, what: str) -> UsageError:
    return UsageError(f"{path} {what}", hint="mend it, or --forget-devices")


def _quote(text: str) -> str:
    # A basic string of TOML is a string of JSON, but for one character.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
