"""The sound of a call inside of its page, compressed."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from runner.audio.soundfiles import compress
from runner.errors import AudioFileError

_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class AudioSizeLimits:
    """How much sound goes into a page, in bytes.

    An hour of a call is about 80 MB as FLAC, which every browser plays, and 20 MB as
    Ogg Vorbis, which Safari plays since 18.4. `wave` is two hours of the file itself.
    """

    wave: int = 700 * _MEGABYTE
    flac: int = 32 * _MEGABYTE
    ogg: int = 64 * _MEGABYTE


@dataclass(frozen=True, slots=True)
class Embedded:
    """The sound as a data URI, None where it is left out; and words that tell so."""

    uri: str | None
    words: str


def embed(folder: Path, sizes: AudioSizeLimits | None = None) -> Embedded:
    """Return the sound of a recording for its page."""
    path = folder / "both.wav"
    sizes = sizes or AudioSizeLimits()
    try:
        if path.stat().st_size <= sizes.wave:
            if len(sound := compress(path, "FLAC")) <= sizes.flac:
                return _as("audio/flac", "FLAC, as it was recorded", sound)
            if len(sound := compress(path, "OGG")) <= sizes.ogg:
                return _as("audio/ogg", "Ogg Vorbis, compressed with loss", sound)
    except FileNotFoundError:
        return Embedded(None, "This call was recorded without audio.")
    except AudioFileError as error:
        return Embedded(None, f"The audio is left out: {error.message}.")
    return Embedded(None, "The audio is too long for a page; it is in both.wav.")


def _as(kind: str, name: str, sound: bytes) -> Embedded:
    return Embedded(
        f"data:{kind};base64,{base64.b64encode(sound).decode()}",
        f"Sound: {name}, {len(sound) / _MEGABYTE:.1f} MB, "
        "the caller left and the agent right.",
    )
