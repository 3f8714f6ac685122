"""Which devices a run uses: those of the command line, else those remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from runner.errors import UsageError

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
    from runner.preferences import (
        clear_devices,
        default_file,
        load_devices,
        save_devices,
    )

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
