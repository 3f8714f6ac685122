"""Sound files: reading, writing, and as microphone and speaker of a call."""

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
from runner.safe_files import open_new, open_private

if TYPE_CHECKING:
    import soundfile


class FileMicrophone:
    """A microphone that yields a sound file in real time; `--input FILE.wav`.

    A stall of the program delays the rest of the file and loses none of it. Silence
    follows the file, so that the service detects the end of the turn.
    """

    def __init__(
        self,
        path: Path,
        *,
        tail_seconds: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Plays `path`, then `tail_seconds` of silence; None: silence without end."""
        self.dropped_ms = 0.0
        self.finished = asyncio.Event()  # set at the end of the file
        self.started_at: float | None = None  # clock time of the start of the file
        self._reader = SoundReader(path)
        self._tail_seconds = tail_seconds
        self._clock = clock or LoopClock()

    async def __aenter__(self) -> Self:
        self._reader.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._reader.close()

    async def frames(self) -> AsyncIterator[bytes]:
        """Yields the file in frames, the last one padded, then silence.

        The clock starts with the first frame. Iterate once. Raises AudioFileError if
        the file is damaged further on.
        """
        ticker = Ticker(self._clock, FRAME_MS / 1000)
        framer = Framer(FRAME_BYTES)
        self.started_at = self._clock.now()
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
    """A speaker that writes a WAV file in real time; `--output FILE.wav`.

    The file is 24 kHz mono PCM16, as long as the speaker was open, silent where nothing
    was played, and valid at every moment. Audio that `stop` discarded is not in it.
    """

    def __init__(
        self,
        path: Path,
        *,
        begins_with: FileMicrophone | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Writes to `path`, starting together with the file of `begins_with`."""
        # The speaker is open before the microphone is read, and only files that start
        # together can be compared.
        begins_at = None if begins_with is None else lambda: begins_with.started_at
        super().__init__(WavWriter(path), begins_at=begins_at, clock=clock)


_BLOCK_SECONDS = 0.1  # read at once, so that the longest file needs little memory
# Other rates are damaged headers; soxr would allocate memory by their ratio.
_RATES = range(1_000, 768_001)
# Written in place of the length by programs that write to a pipe and do not know it.
_UNKNOWN_LENGTHS = {0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF}


class SoundReader:
    """Reads a sound file of any rate, width and channel count as 24 kHz mono PCM16."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: soundfile.SoundFile | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def duration_seconds(self) -> float:
        """Duration by the header of the file; 0 before it is open."""
        file = self._file
        return 0.0 if file is None else float(file.frames / file.samplerate)

    def open(self) -> None:
        """Opens and checks the file.

        Raises:
            FileUnreadable: it cannot be read.
            AudioFileError: it is not a sound file, is empty or is truncated.
        """
        check_whole(self._path)
        soundfile = _load_soundfile()
        try:
            file = soundfile.SoundFile(self._path)
        except soundfile.SoundFileError as error:
            raise AudioFileError(
                f"cannot read '{self._path}' as a sound file: {_reason(error)}",
                hint="use WAV of any rate and width, FLAC or Ogg",
            ) from error
        problem = None
        if file.samplerate not in _RATES:
            problem = f"has an impossible sample rate of {file.samplerate} Hz"
        elif not file.frames:
            problem = "contains no audio"
        if problem:
            file.close()
            raise AudioFileError(f"'{self._path}' {problem}")
        self._file = file

    def close(self) -> None:
        """Closes the file; a second call has no effect."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def blocks(self) -> Iterator[bytes]:
        """Yields the rest of the file, converted, in pieces of about 100 ms.

        Raises AudioFileError if the file is damaged.
        """
        if self._file is None:
            raise ValueError("the sound file is not open")
        rate = self._file.samplerate
        resampler = Resampler(rate, SAMPLE_RATE)
        while True:
            samples = self._read(max(1, int(rate * _BLOCK_SECONDS)))
            is_last = not len(samples)
            yield to_pcm(resampler.process(samples, last=is_last))
            if is_last:
                return

    def _read(self, frames: int) -> Samples:
        """Returns the next frames, mixed to mono; none at the end of the file."""
        if self._file is None:
            return np.zeros(0, np.float32)
        try:
            channels = self._file.read(frames, dtype="float32", always_2d=True)
        except _load_soundfile().SoundFileError as error:
            raise AudioFileError(
                f"'{self._path}' is damaged: {_reason(error)}"
            ) from error
        mono: Samples = channels.mean(axis=1, dtype=np.float32)
        # A float file may contain anything; one NaN would spoil the resampler.
        return np.nan_to_num(mono, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)


def load_pcm(path: Path) -> bytes:
    """Returns a whole sound file as 24 kHz mono PCM16; raises like `SoundReader`."""
    with SoundReader(path) as reader:
        return b"".join(reader.blocks())


def compress(path: Path, format: Literal["FLAC", "OGG"]) -> bytes:
    """Returns a sound file as FLAC, which is lossless, or as the smaller Ogg Vorbis.

    Raises AudioFileError if it cannot be read.
    """
    soundfile = _load_soundfile()
    compressed = io.BytesIO()
    try:
        with (
            soundfile.SoundFile(path) as source,
            soundfile.SoundFile(
                compressed, "w", source.samplerate, source.channels, format=format
            ) as target,
        ):
            for block in source.blocks(source.samplerate, dtype="int16"):
                target.write(block)
    except soundfile.SoundFileError as error:
        raise AudioFileError(
            f"'{path}' cannot be compressed: {_reason(error)}"
        ) from error
    return compressed.getvalue()


def check_whole(path: Path) -> None:
    """Raises unless this is a readable file and, if it is a WAV file, a complete one.

    Raises:
        FileUnreadable: it cannot be read.
        AudioFileError: it is empty or truncated.
    """
    # libsndfile plays the rest of a truncated file without an error.
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "not a regular file"
        raise FileUnreadable(f"cannot read audio from '{path}': it is {kind}")
    try:
        with path.open("rb") as file:
            missing = _missing_bytes(file, path.stat().st_size)
    except OSError as error:
        raise FileUnreadable(
            f"cannot read audio from '{path}': {os_error_text(error)}"
        ) from error
    if missing is None:
        raise AudioFileError(f"'{path}' is empty")
    if missing:
        raise AudioFileError(
            f"'{path}' is truncated: {missing} bytes of its audio are missing",
            hint="copy or record it again; ffmpeg -i IN.wav OUT.wav keeps the rest",
        )


def _missing_bytes(file: BinaryIO, size: int) -> int | None:
    """Returns how many bytes of the data chunk are missing; None for an empty file."""
    if not size:
        return None
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return 0  # another format, which libsndfile checks
    while len(chunk := file.read(8)) == 8:
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            if length in _UNKNOWN_LENGTHS:
                return 0
            return max(0, length - (size - file.tell()))
        file.seek(length + length % 2, 1)  # chunks are padded to even lengths
    return 0


def _reason(error: Exception) -> str:
    """Returns libsndfile's message without the path that it repeats."""
    text = str(getattr(error, "error_string", error))
    return text.rstrip(".").strip().lower()


def _load_soundfile() -> Any:
    # Loaded when a file is opened: a call by microphone does not need libsndfile.
    try:
        import soundfile
    except (ImportError, OSError) as error:
        # OSError: the Python part is there, libsndfile is not.
        raise AudioFileError(
            f"cannot load the sound file library: {error}",
            hint="pip install --force-reinstall soundfile (it includes libsndfile)",
        ) from error
    return soundfile


_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
# RIFF lengths have 32 bits: 24 hours at this rate. Later data is written too, and read
# by programs that use the length of the file.
_MAX_DATA = 0xFFFF_FFFF - _HEADER.size


def wav_header(data_bytes: int, channels: int = 1) -> bytes:
    """Returns the header of a 24 kHz PCM16 WAV file with this number of data bytes."""
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
    """Writes a 24 kHz PCM16 WAV file that is valid at every moment.

    `open` checks that the file can be written and does not change an existing one; the
    first `write` replaces it. A file without data is removed on close.
    """

    def __init__(
        self, path: Path, channels: int = 1, *, is_private: bool = False
    ) -> None:
        """Configures the file; a new private one can be read by its owner only."""
        self._path = path
        self._opener = open_private if is_private else open_new
        self._channels = channels
        self._file: FileIO | None = None
        self._is_new = False  # the file did not exist before
        self._has_begun = False  # an earlier content was replaced
        self._data_bytes = 0

    def open(self) -> None:
        """Opens the file; raises AudioFileError if that fails."""
        path = self._path
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise AudioFileError(
                f"cannot write audio to '{path}': it is {kind}",
                hint="name a file that ends in .wav, or use --output null",
            )
        self._is_new = not path.exists()
        try:
            # Unbuffered: `close` must not retry a write that a full disk refused.
            mode = "xb+" if self._is_new else "rb+"
            self._file = FileIO(path, mode, opener=self._opener)
        except OSError as error:
            raise self._error("cannot write audio to", error) from error

    def write(self, pcm: bytes) -> None:
        """Appends audio, then updates the header."""
        file = self._file
        if file is None:
            raise ValueError("the recording is not open")
        try:
            if not self._has_begun:
                self._has_begun = True
                file.truncate(0)
                _write_all(file, wav_header(0, self._channels))
            _write_all(file, pcm)
            self._data_bytes += len(pcm)
            _write_at_start(file, wav_header(self._data_bytes, self._channels))
        except OSError as error:
            raise self._error("cannot continue writing", error) from error

    def close(self) -> None:
        """Closes the file; removes a new one without data."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if self._is_new and not self._data_bytes:
            self._path.unlink(missing_ok=True)

    def _error(self, what: str, error: OSError) -> AudioFileError:
        hints = {
            FileNotFoundError: f"create the folder '{self._path.parent}' first",
            PermissionError: "choose a writable folder",
        }
        return AudioFileError(
            f"{what} '{self._path}': {os_error_text(error)}",
            hint=hints.get(type(error)),
        )


def _write_at_start(file: FileIO, data: bytes) -> None:
    if sys.platform != "win32":
        os.pwrite(file.fileno(), data, 0)  # one call, and the file position is kept
    else:
        file.seek(0)
        _write_all(file, data)
        file.seek(0, 2)


def _write_all(file: FileIO, data: bytes) -> None:
    written = file.write(data)
    while written < len(data):
        written += file.write(memoryview(data)[written:])
