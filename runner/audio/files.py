"""Sound files as devices: a microphone that plays one, a speaker that writes one."""

from __future__ import annotations

import asyncio
import io
import math
import os
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self

import numpy as np

from runner.audio.devices import (
    FRAME_BYTES,
    FRAME_MS,
    SAMPLE_BYTES,
    SAMPLE_RATE,
    Clock,
    LoopClock,
    Ticker,
)
from runner.audio.pcm import Framer, Samples, to_pcm
from runner.audio.resampler import Resampler
from runner.audio.virtual import ClockedSpeaker
from runner.errors import AudioFileError, FileUnreadable, os_error_text

if TYPE_CHECKING:
    import soundfile


class FileMicrophone:
    """Gives a sound file at real-time pace, then silence; `--input FILE.wav`.

    Nothing of the file is lost when the program stalls: what is left is delayed. The
    silence after its end lets the far end hear that the caller stopped speaking.
    """

    def __init__(
        self,
        path: Path,
        *,
        tail_seconds: float | None = None,
        pace: Clock | None = None,
    ) -> None:
        """Play `path`, then `tail_seconds` of silence, or silence for ever for None."""
        self.dropped_ms = 0.0
        self.finished = asyncio.Event()  # set when the file's own sound is over
        self.started_at: float | None = None  # the pace's clock at the file's start
        self._reader = SoundReader(path)
        self._tail_seconds = tail_seconds
        self._pace = pace or LoopClock()

    async def __aenter__(self) -> Self:
        self._reader.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._reader.close()

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield the file in frames, its last one filled up, then the silence.

        The clock starts with the first frame asked for. To be iterated once. Raises
        AudioFileError when the file turns out to be broken further on.
        """
        ticker = Ticker(self._pace, FRAME_MS / 1000)
        framer = Framer(FRAME_BYTES)
        self.started_at = self._pace.now()
        # A block is read and resampled on the loop: under a millisecond for 100 ms.
        for block in self._reader.blocks():
            for frame in framer.feed(block):
                await ticker.tick()
                yield frame
        if rest := framer.flush():
            await ticker.tick()
            yield rest
        self.finished.set()
        left = math.inf
        if self._tail_seconds is not None:
            left = math.ceil(self._tail_seconds * 1000 / FRAME_MS)
        while left > 0:
            left -= 1
            await ticker.tick()
            yield bytes(FRAME_BYTES)


class FileSpeaker(ClockedSpeaker):
    """Writes what is played into a WAV file in real time; `--output FILE.wav`.

    The file is 24 kHz mono PCM16, as long as the speaker was open, silent where nobody
    spoke, and valid at every moment. What `stop` dropped is not in it.
    """

    def __init__(
        self,
        path: Path,
        *,
        begins_with: FileMicrophone | None = None,
        pace: Clock | None = None,
    ) -> None:
        """Write to `path`; the files begin together with `begins_with`.

        A microphone is listened to when the call is ready, a speaker is open before:
        only files that begin together can be laid side by side.
        """
        begins_at = None if begins_with is None else lambda: begins_with.started_at
        super().__init__(WavWriter(path), begins_at=begins_at, pace=pace)


# Reads sound files of any rate, width and channel count; the one place of soundfile.
#
# The library is loaded when a file is opened: who only talks needs no libsndfile.


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


# Writes a WAV file that is whole at every moment, whenever the program is killed.


_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
# RIFF counts in 32 bits: 24 hours at this rate. What comes after is written, and read
# by programs that go by the file's length.
_MAX_DATA = 0xFFFF_FFFF - _HEADER.size


def wav_header(data_bytes: int, channels: int = 1) -> bytes:
    """Return the header of a 24 kHz PCM16 WAV file with so much data."""
    size = min(data_bytes, _MAX_DATA)
    riff_size = _HEADER.size - 8 + size
    frame_bytes = SAMPLE_BYTES * channels
    return _HEADER.pack(
        *(b"RIFF", riff_size, b"WAVE", b"fmt ", 16),
        *(1, channels, SAMPLE_RATE, SAMPLE_RATE * frame_bytes),
        *(frame_bytes, 8 * SAMPLE_BYTES),
        *(b"data", size),
    )


class WavWriter:
    """One WAV file on disk, 24 kHz PCM16, mono unless said otherwise.

    `open` proves that the file can be written and leaves an older one as it was; the
    first `write` replaces it. A recording into which nothing came leaves no file.
    """

    def __init__(self, path: Path, channels: int = 1) -> None:
        self._path = path
        self._channels = channels
        self._file: FileIO | None = None
        self._is_new = False  # this recording made the file
        self._has_begun = False  # what the file held before is gone
        self._data_bytes = 0

    def open(self) -> None:
        """Open the file; raises AudioFileError when that cannot be."""
        path = self._path
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no ordinary file"
            raise AudioFileError(
                f"cannot write sound to '{path}': it is {kind}",
                hint="name a file that ends in .wav, or use --output null",
            )
        self._is_new = not path.exists()
        try:
            # Unbuffered: what a full disk refused must not be tried again in `close`.
            self._file = FileIO(path, "xb+" if self._is_new else "rb+")
        except OSError as error:
            raise self._error("cannot write sound to", error) from error

    def write(self, pcm: bytes) -> None:
        """Append, then bring the header up to date; the data is there first."""
        file = self._file
        if file is None:
            raise ValueError("write to a recording that is not open")
        try:
            if not self._has_begun:
                self._has_begun = True
                file.truncate(0)
                _write_all(file, wav_header(0, self._channels))
            _write_all(file, pcm)
            self._data_bytes += len(pcm)
            _write_at_start(file, wav_header(self._data_bytes, self._channels))
        except OSError as error:
            raise self._error("cannot go on writing", error) from error

    def close(self) -> None:
        """Close the file; remove one that was made for nothing."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if self._is_new and not self._data_bytes:
            self._path.unlink(missing_ok=True)

    def _error(self, what: str, error: OSError) -> AudioFileError:
        hints = {
            FileNotFoundError: f"make the folder '{self._path.parent}' first",
            PermissionError: "choose a place that you may write to",
        }
        return AudioFileError(
            f"{what} '{self._path}': {os_error_text(error)}",
            hint=hints.get(type(error)),
        )


def _write_at_start(file: FileIO, data: bytes) -> None:
    if sys.platform != "win32":
        os.pwrite(file.fileno(), data, 0)  # in one, and the place to go on stays
    else:
        file.seek(0)
        _write_all(file, data)
        file.seek(0, 2)


def _write_all(file: FileIO, data: bytes) -> None:
    written = file.write(data)
    while written < len(data):
        written += file.write(memoryview(data)[written:])
