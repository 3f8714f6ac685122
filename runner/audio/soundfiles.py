"""Reads sound files of any rate, width and channel count; the one place of soundfile.

The library is loaded when a file is opened: who only talks needs no libsndfile.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self

import numpy as np

from runner.audio.devices import SAMPLE_RATE
from runner.audio.pcm import Samples, to_pcm
from runner.audio.resampler import Resampler
from runner.errors import AudioFileError, FileUnreadable, os_error_text

if TYPE_CHECKING:
    import soundfile

_BLOCK_SECONDS = 0.1  # read at once, so that the longest file needs little memory
# Rates outside of this are damaged headers; soxr would take the memory of the ratio.
_RATES = range(1_000, 768_001)
# What programs that write to a pipe put where the length belongs: they don't know it.
_UNKNOWN_LENGTHS = {0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF}


class SoundReader:
    """One sound file, converted to 24 kHz mono PCM16 while it is read, once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sound: soundfile.SoundFile | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def duration_seconds(self) -> float:
        """How long the file says it is; 0 before it is open."""
        sound = self._sound
        return 0.0 if sound is None else float(sound.frames / sound.samplerate)

    def open(self) -> None:
        """Open and check the file.

        Raises FileUnreadable when it cannot be read, and AudioFileError when it is no
        sound file, holds no sound, or was cut off.
        """
        check_whole(self._path)
        soundfile = _load_soundfile()
        try:
            sound = soundfile.SoundFile(self._path)
        except soundfile.SoundFileError as error:
            raise AudioFileError(
                f"'{self._path}' is no sound file that can be read: {_reason(error)}",
                hint="WAV of any rate and width will do, FLAC and Ogg too",
            ) from error
        problem = None
        if sound.samplerate not in _RATES:
            problem = f"has an impossible sample rate of {sound.samplerate} Hz"
        elif not sound.frames:
            problem = "holds no sound"
        if problem:
            sound.close()
            raise AudioFileError(f"'{self._path}' {problem}")
        self._sound = sound

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        if self._sound is not None:
            self._sound.close()
            self._sound = None

    def blocks(self) -> Iterator[bytes]:
        """Yield the sound from here to its end, converted, in pieces of about 100 ms.

        Raises AudioFileError where the file turns out to be damaged.
        """
        if self._sound is None:
            raise ValueError("blocks of a sound file that is not open")
        rate = self._sound.samplerate
        resampler = Resampler(rate, SAMPLE_RATE)
        while True:
            samples = self._read(max(1, int(rate * _BLOCK_SECONDS)))
            is_last = not len(samples)
            yield to_pcm(resampler.process(samples, last=is_last))
            if is_last:
                return

    def _read(self, frames: int) -> Samples:
        """Read the next frames, mixed to mono; none at the end of the file."""
        if self._sound is None:
            return np.zeros(0, np.float32)
        try:
            channels = self._sound.read(frames, dtype="float32", always_2d=True)
        except _load_soundfile().SoundFileError as error:
            raise AudioFileError(
                f"'{self._path}' is damaged: {_reason(error)}"
            ) from error
        mono: Samples = channels.mean(axis=1, dtype=np.float32)
        # A float file may hold anything; one not-a-number would spoil the resampler.
        return np.nan_to_num(mono, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)


def load_pcm(path: Path) -> bytes:
    """Read a whole sound file as 24 kHz mono PCM16; raises as `SoundReader` does."""
    with SoundReader(path) as reader:
        return b"".join(reader.blocks())


def compress(path: Path, format: Literal["FLAC", "OGG"]) -> bytes:
    """Return a sound file as FLAC, which loses nothing, or as the smaller Ogg Vorbis.

    Raises AudioFileError when it cannot be read.
    """
    soundfile = _load_soundfile()
    compressed = io.BytesIO()
    try:
        with (
            soundfile.SoundFile(path) as sound,
            soundfile.SoundFile(
                compressed, "w", sound.samplerate, sound.channels, format=format
            ) as target,
        ):
            for block in sound.blocks(sound.samplerate, dtype="int16"):
                target.write(block)
    except soundfile.SoundFileError as error:
        raise AudioFileError(
            f"'{path}' cannot be compressed: {_reason(error)}"
        ) from error
    return compressed.getvalue()


def check_whole(path: Path) -> None:
    """Raise unless this is a readable file and, if it is a WAV file, a complete one.

    libsndfile plays what there is of a file that was cut off, without a word.
    """
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no ordinary file"
        raise FileUnreadable(f"cannot read sound from '{path}': it is {kind}")
    try:
        with path.open("rb") as file:
            missing = _missing_bytes(file, path.stat().st_size)
    except OSError as error:
        raise FileUnreadable(
            f"cannot read sound from '{path}': {os_error_text(error)}"
        ) from error
    if missing is None:
        raise AudioFileError(f"'{path}' is empty")
    if missing:
        raise AudioFileError(
            f"'{path}' is cut off: {missing} bytes of its sound are missing",
            hint="copy or record it again; ffmpeg -i IN.wav OUT.wav keeps what is left",
        )


def _missing_bytes(file: BinaryIO, size: int) -> int | None:
    """Return how much the data chunk promises beyond the end; None for no bytes."""
    if not size:
        return None
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return 0  # another format: libsndfile's business
    while len(chunk := file.read(8)) == 8:
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            if length in _UNKNOWN_LENGTHS:
                return 0
            return max(0, length - (size - file.tell()))
        file.seek(length + length % 2, 1)  # chunks are padded to even lengths
    return 0


def _reason(error: Exception) -> str:
    """Return libsndfile's own sentence, without the path that it repeats."""
    text = str(getattr(error, "error_string", error))
    return text.rstrip(".").strip().lower()


def _load_soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        # OSError: the Python part is there, libsndfile is not.
        raise AudioFileError(
            f"sound files cannot be read: {error}",
            hint="pip install --force-reinstall soundfile (it brings libsndfile)",
        ) from error
    return soundfile
