"""The sound of a call inside of its page: as it is if it is short, else compressed."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from runner.audio.soundfiles import compress
from runner.errors import VagentError

_MEGABYTE = 1024 * 1024
_PLAIN_BYTES = 3 * _MEGABYTE  # half a minute of both voices
# Two hours as MP3; pages beyond this are slow to open everywhere.
_MOST_BYTES = 64 * _MEGABYTE
_MOST_PLAIN_BYTES = 1024 * _MEGABYTE  # what is compressed at all: three hours


@dataclass(frozen=True, slots=True)
class Embedded:
    """The sound as a data URI, None where it is left out; and words that tell so."""

    uri: str | None
    words: str


def embed(folder: Path) -> Embedded:
    """Return the sound of a recording for its page."""
    path = folder / "both.wav"
    try:
        size = path.stat().st_size
        if size <= _PLAIN_BYTES:
            return _as("audio/wav", "WAV", path.read_bytes())
        if size > _MOST_PLAIN_BYTES:
            return Embedded(None, f"The sound is too long for a page: see {path.name}.")
        sound = compress(path)
    except FileNotFoundError:
        return Embedded(None, "This call was recorded without sound.")
    except (OSError, VagentError) as error:
        return Embedded(None, f"The sound is left out: {error}.")
    if len(sound) > _MOST_BYTES:
        return Embedded(None, f"The sound is too long for a page: see {path.name}.")
    return _as("audio/mpeg", "MP3", sound)


def _as(kind: str, name: str, sound: bytes) -> Embedded:
    size = f"{len(sound) / _MEGABYTE:.1f} MB"
    return Embedded(
        f"data:{kind};base64,{base64.b64encode(sound).decode()}",
        f"Sound: {name}, {size}, the caller left and the agent right. "
        "As recorded it is in both.wav.",
    )
