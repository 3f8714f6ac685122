"""Writes a WAV file that is whole at every moment, whenever the program is killed."""

from __future__ import annotations

import os
import struct
import sys
from io import FileIO
from pathlib import Path

from runner.audio.devices import SAMPLE_BYTES, SAMPLE_RATE
from runner.errors import AudioFileError, os_error_text

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
