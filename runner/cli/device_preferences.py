"""Audio devices of a run: from the command line, or remembered in `devices.toml`."""

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
    """Returns the microphone and the speaker to open; None is the system's default.

    A remembered device that is absent is replaced by the system's default.

    Raises:
        UsageError: the options contradict each other, or `devices.toml` is invalid.
        AudioUnavailable, DeviceNotFound: a device to remember is not found.
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
            "--remember-devices needs a device",
            hint="add --input-device or --output-device; vagent devices lists them",
        )
    path = preferences_path()
    if forget:
        done = "forgotten" if clear_devices(path) else "none are remembered"
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


# Devices are stored by name and host API: their numbers change when one is plugged in.
_FILE = "devices.toml"
FOLDER_VARIABLE = "VAGENT_CONFIG"


def preferences_path() -> Path:
    """Returns the path of `devices.toml`, in VAGENT_CONFIG or the platform's folder."""
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen).expanduser() / _FILE
    import platformdirs

    return platformdirs.user_config_path("vagent", appauthor=False) / _FILE


def load_devices(path: Path) -> dict[Direction, KnownDevice]:
    """Returns the remembered devices of no, one or both directions.

    Raises `UsageError` for an invalid file, and `FileUnreadable`.
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
    except ValueError as error:  # a syntax error, or not UTF-8
        raise _invalid(path, f"is not valid TOML: {error}") from error
    return {
        side: _device(path, side, values[side])
        for side in get_args(Direction)
        if side in values
    }


def save_devices(path: Path, devices: Mapping[Direction, KnownDevice]) -> None:
    """Stores these devices; keeps that of a direction that is not given."""
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
    """Deletes the file; returns False if there was none. Raises `FileUnreadable`."""
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
        raise _invalid(path, f"needs a name and a host, as text, for `{side}`")
    return KnownDevice(name, host)


def _invalid(path: Path, problem: str) -> UsageError:
    return UsageError(
        f"{path} {problem}", hint="correct it, or delete it with --forget-devices"
    )


def _quote(text: str) -> str:
    # A basic string of TOML is a JSON string, except for one character.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
