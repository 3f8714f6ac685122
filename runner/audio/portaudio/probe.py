"""Lists and tries devices in a subprocess: `python -m runner.audio.portaudio.probe`.

    list                    one line per device
    open input:3 output:4   one line each with the reason why it cannot be opened

Each line is a JSON object on stdout; `DeviceProber` starts the process and reads them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from runner.audio.portaudio.library import (
    Direction,
    ListedDevice,
    PortAudio,
    find_device,
    list_devices,
    load_portaudio,
)
from runner.errors import AudioError, AudioUnavailable, VagentError
from runner.isolation import python_command

# Seconds. PulseAudio's null sink needs up to two for its first block.
BLOCK_SECONDS = 3.0
_POLL_SECONDS = 0.02

Write = Callable[[dict[str, object]], None]


class NullEndpoint:
    """Capture sink and playback source without audio."""

    def capture(self, pcm: bytes, at: float) -> bool:
        return False

    def render(self, size: int, at: float) -> bytes:
        return bytes(size)


def main(arguments: Sequence[str], library: PortAudio, write: Write) -> None:
    """Runs the command of the command line."""
    match arguments:
        case ["list"]:
            for device in list_devices(library):
                write(device.to_json())
        case ["open", *sides]:
            for text in sides:
                side, _, index = text.partition(":")
                reason = try_device(library, cast("Direction", side), int(index))
                write({"side": side, "index": int(index), "reason": reason})
        case _:
            raise SystemExit(2)


def try_device(
    library: PortAudio,
    side: Direction,
    index: int,
    seconds: float = BLOCK_SECONDS,
) -> str | None:
    """Opens one direction of a device until its first block.

    Returns the reason if that failed, else None.
    """
    from runner.audio.portaudio.streams import StreamSession

    endpoint = NullEndpoint()
    streams = StreamSession(endpoint, endpoint, lambda: None)
    try:
        streams.open(library, [find_device(library, index, side)])
    except VagentError as error:
        # The caller names the device.
        return error.message.partition("': ")[2] or error.message
    try:
        until = time.monotonic() + seconds
        while not streams.blocks[side]:
            if streams.has_ended:
                return "it stopped at once"
            if time.monotonic() > until:
                return f"it opened, but delivered no audio for {seconds:g} s"
            time.sleep(_POLL_SECONDS)
    finally:
        streams.close()
    return None


def _write_line(fields: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1:], load_portaudio(), _write_line)
    except VagentError as error:
        _write_line({"error": error.message, "hint": error.hint})


# A subprocess, because PortAudio finds newly connected devices only after all streams
# were closed, and a device that hangs when it is opened can only be ended with its
# process.
PROBE = tuple(python_command("runner.audio.portaudio.probe"))
# Seconds. A start of Python and of PortAudio, with slow drivers.
LIST_SECONDS = 10.0
# The probe waits 3 s for the first block; the rest is for opening and closing.
DEVICE_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Result of trying one direction of a device; it works if `reason` is None."""

    index: int
    side: Direction
    reason: str | None


class DeviceProber:
    """Runs the probe in subprocesses."""

    def __init__(
        self, command: Sequence[str] = PROBE, device_seconds: float = DEVICE_SECONDS
    ) -> None:
        self._command = command
        self._device_seconds = device_seconds

    async def list_devices(self) -> list[ListedDevice]:
        """Returns the currently connected devices.

        Raises:
            AudioUnavailable: PortAudio is missing, or does not answer.
        """
        async with self._probing("list") as probe:
            try:
                async with asyncio.timeout(LIST_SECONDS):
                    return [
                        ListedDevice.from_json(line) async for line in _lines(probe)
                    ]
            except TimeoutError:
                raise AudioUnavailable(
                    f"the sound system did not answer for {LIST_SECONDS:g} s",
                    hint="restart the sound server",
                ) from None

    async def try_out(
        self, wanted: Sequence[tuple[Direction, int]]
    ) -> AsyncIterator[ProbeResult]:
        """Opens these directions of devices one after another; yields the results.

        A device that hangs or crashes the probe does not affect the others.
        """
        left = list(wanted)
        while left:
            sides = [f"{side}:{index}" for side, index in left]
            async with self._probing("open", *sides) as probe:
                lines = _lines(probe)
                while left:
                    side, index = left[0]
                    try:
                        async with asyncio.timeout(self._device_seconds):
                            line = await anext(lines, None)
                        reason = line["reason"] if line else "it crashed the probe"
                    except TimeoutError:
                        line, reason = (
                            None,
                            (f"it did not answer for {self._device_seconds:g} s"),
                        )
                    yield ProbeResult(index, side, reason)
                    left.pop(0)
                    if line is None:
                        break

    @contextlib.asynccontextmanager
    async def _probing(self, *arguments: str) -> AsyncIterator[Process]:
        probe = await asyncio.create_subprocess_exec(
            *self._command, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
        )
        try:
            yield probe
        finally:
            with contextlib.suppress(ProcessLookupError):
                probe.kill()
            await probe.wait()


async def find_sides() -> frozenset[Direction]:
    """Returns the directions for which a device is connected now."""
    try:
        devices = await DeviceProber().list_devices()
    except AudioError:
        return frozenset()
    return frozenset(side for device in devices for side in device.sides)


async def _lines(probe: Process) -> AsyncIterator[dict[str, Any]]:
    assert probe.stdout is not None
    async for text in probe.stdout:
        line: dict[str, Any] = json.loads(text)
        if "error" in line:
            raise AudioUnavailable(line["error"], hint=line["hint"])
        yield line
