"""Looks at devices in a process of its own: `python -m runner.audio.portaudio.probe`.

    list                    one line a device
    open input:3 output:4   one line each: whether it can really be opened

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

# Seconds. PulseAudio's null sink takes up to two to its first block.
BLOCK_SECONDS = 3.0
_LOOK_SECONDS = 0.02

Write = Callable[[dict[str, object]], None]


class NullEndpoint:
    """Both ends of an opening through which nothing is let."""

    def capture(self, pcm: bytes, at: float) -> bool:
        return False

    def render(self, size: int, at: float) -> bytes:
        return bytes(size)


def main(arguments: Sequence[str], library: PortAudio, write: Write) -> None:
    """Do what the command line says."""
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
    """Open one side of a device until its first block; return why that failed."""
    from runner.audio.portaudio.streams import StreamSession

    deaf = NullEndpoint()
    opening = StreamSession(deaf, deaf, lambda: None)
    try:
        opening.open(library, [find_device(library, index, side)])
    except VagentError as error:
        # Which device is said elsewhere.
        return error.message.partition("': ")[2] or error.message
    try:
        until = time.monotonic() + seconds
        while not opening.blocks[side]:
            if opening.has_ended:
                return "it stopped at once"
            if time.monotonic() > until:
                return f"it opened, but gave no sound for {seconds:g} s"
            time.sleep(_LOOK_SECONDS)
    finally:
        opening.close()
    return None


def _write_line(fields: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1:], load_portaudio(), _write_line)
    except VagentError as error:
        _write_line({"error": error.message, "hint": error.hint})


# What devices there are now and whether they work, asked of a process of its own.
#
# PortAudio sees what was plugged in since its start only once all streams are closed,
# and a device that hangs when it is opened never lets go: that process is ended
# instead.


PROBE = (sys.executable, "-m", "runner.audio.portaudio.probe")
# Seconds. A start of Python and of PortAudio, with slow drivers.
LIST_SECONDS = 10.0
# The probe gives a device 3 s to its first block; the rest is for opening and closing.
DEVICE_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One side of a device that was tried; no reason means that it works."""

    index: int
    side: Direction
    reason: str | None


class DeviceProber:
    """Asks probes; the command line, the doctor and the sound card make one."""

    def __init__(
        self, command: Sequence[str] = PROBE, device_seconds: float = DEVICE_SECONDS
    ) -> None:
        self._command = command
        self._device_seconds = device_seconds

    async def list_devices(self) -> list[ListedDevice]:
        """Return the devices of this moment.

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
                    hint="is the sound server stuck? start it again",
                ) from None

    async def try_out(
        self, wanted: Sequence[tuple[Direction, int]]
    ) -> AsyncIterator[ProbeResult]:
        """Open these sides of devices one after another; yield what came of each.

        One that hangs, or brings its process down, costs no more than its time.
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
                        reason = line["reason"] if line else "it broke the sound system"
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
    """Return whether there is a microphone now, and whether there is a speaker."""
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
