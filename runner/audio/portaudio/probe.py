"""Looks at devices in a process of its own: `python -m runner.audio.portaudio.probe`.

    list                    one line a device
    open input:3 output:4   one line each: whether it can really be opened

A line is a JSON object on stdout. `runner.audio.census` starts it and reads them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import cast

from runner.audio.catalog import list_devices
from runner.audio.portaudio.library import (
    Direction,
    PortAudio,
    find_device,
    load_portaudio,
)
from runner.errors import VagentError

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
    from runner.audio.opening import StreamSession

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
