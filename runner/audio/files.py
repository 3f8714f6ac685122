"""Sound files: reading, writing, and as microphone and speaker of a call."""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import os
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from tempfile import TemporaryFile
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
from runner.safe_files import open_new, open_private, open_regular

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
        self._path = path
        self._reader = SoundReader(path)
        self._tail_seconds = tail_seconds
        self._clock = clock or LoopClock()

    async def __aenter__(self) -> Self:
        if is_stream(self._path):
            # On a thread: a pipe has an end only when its writer closes it.
            await asyncio.to_thread(self._reader.read_stream)
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
    """A speaker that writes a sound file in real time; `--output FILE`.

    The file is 24 kHz mono, as long as the speaker was open, and silent where nothing
    was played. Its extension determines its format; a WAV file is valid at every
    moment. Audio that `stop` discarded is not in it.
    """

    def __init__(
        self,
        path: Path,
        *,
        begins_with: FileMicrophone | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Writes to `path`, starting together with the file of `begins_with`.

        Raises AudioFileError for an extension without a format.
        """
        # The speaker is open before the microphone is read, and only files that start
        # together can be compared.
        begins_at = None if begins_with is None else lambda: begins_with.started_at
        super().__init__(open_writer(path), begins_at=begins_at, clock=clock)


_BLOCK_SECONDS = 0.1  # read at once, so that the longest file needs little memory
# Other rates are damaged headers; soxr would allocate memory by their ratio.
_RATES = range(1_000, 768_001)
# Programs that write to a pipe do not know the length and declare one near 2 or 4 GB.
# Each has another value: SoX 0x7ffff000, others the maximum less their header.
_MIN_UNKNOWN_LENGTH = 0x7000_0000
STDIN = Path("-")
# A pipe is stored in a temporary file, because libsndfile seeks.
_MAX_STREAM_BYTES = 1024 * 1024 * 1024


class SoundReader:
    """Reads a sound file of any rate, width and channel count as 24 kHz mono PCM16."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = "standard input" if path == STDIN else f"'{path}'"
        self._copy: BinaryIO | None = None  # the content of a pipe, or a repaired file
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
        self._check_length()
        soundfile = _load_soundfile()
        source = self._path if self._copy is None else self._copy
        try:
            file = self._open(source)
        except soundfile.SoundFileError as error:
            raise AudioFileError(
                f"cannot read {self._name} as a sound file: {_reason(error)}",
                hint="use WAV of any rate and width, FLAC, Ogg or MP3",
            ) from error
        problem = None
        if file.samplerate not in _RATES:
            problem = f"has an impossible sample rate of {file.samplerate} Hz"
        elif not file.frames:
            problem = "contains no audio"
        if problem:
            file.close()
            raise AudioFileError(f"{self._name} {problem}")
        self._file = file

    def _open(self, source: Path | BinaryIO) -> soundfile.SoundFile:
        soundfile = _load_soundfile()
        file = soundfile.SoundFile(source)
        if file.format != "MP3":
            return file
        # libmpg123 writes warnings about valid files to stderr while it decodes, over
        # the view of the call. So an MP3 file is decoded before the call.
        with file, _quiet_stderr():
            decoded = _decode(file)
        if self._copy is not None:
            self._copy.close()
        self._copy = decoded
        return soundfile.SoundFile(decoded)

    def read_stream(self) -> None:
        """Reads a pipe or standard input to its end; `open` then opens the content.

        Raises:
            FileUnreadable: it cannot be read, or stdin is a terminal.
            AudioFileError: it does not end.
        """
        try:
            if self._path != STDIN:
                with self._path.open("rb") as stream:
                    self._copy = _copy(stream, self._name)
            elif sys.stdin is None or sys.stdin.isatty():
                raise FileUnreadable(
                    "cannot read audio from standard input: it is a terminal",
                    hint="pipe a sound file: cat FILE.wav | vagent run … --input -",
                )
            else:
                self._copy = _copy(sys.stdin.buffer, self._name)
        except OSError as error:
            raise _unreadable(self._name, error) from error

    def _check_length(self) -> None:
        """Raises for an empty or truncated file; repairs a length of 0."""
        try:
            if self._copy is None:
                with open_regular(self._path) as file:
                    layout = _find_audio(file, self._name)
                    if layout is not None and layout.is_unwritten:
                        self._copy = _copy(file, self._name)
            else:
                layout = _find_audio(self._copy, self._name)
        except OSError as error:
            raise _unreadable(self._name, error) from error
        if layout is None:
            return
        if layout.is_unwritten:
            assert self._copy is not None, "it was copied"
            self._copy.seek(layout.offset)
            self._copy.write(min(layout.available, _MAX_DATA).to_bytes(4, "little"))
            self._copy.seek(0)
        elif layout.missing:
            raise AudioFileError(
                f"{self._name} is truncated: {layout.missing} bytes of its audio are "
                "missing",
                hint="copy or record it again; ffmpeg -i IN.wav OUT.wav keeps the rest",
            )

    def close(self) -> None:
        """Closes the file; a second call has no effect."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._copy is not None:
            self._copy.close()
            self._copy = None

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
                f"{self._name} is damaged: {_reason(error)}"
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
            open_regular(path) as file,
            soundfile.SoundFile(file) as source,
            soundfile.SoundFile(
                compressed, "w", source.samplerate, source.channels, format=format
            ) as target,
        ):
            for block in source.blocks(source.samplerate, dtype="int16"):
                target.write(block)
    except OSError as error:
        raise AudioFileError.from_os_error(f"'{path}'", "read", error) from error
    except soundfile.SoundFileError as error:
        raise AudioFileError(
            f"'{path}' cannot be compressed: {_reason(error)}"
        ) from error
    return compressed.getvalue()


def is_stream(path: Path) -> bool:
    """True for standard input (`-`) and for pipes: /dev/stdin, <(…), named pipes."""
    return path == STDIN or path.is_fifo()


def _copy(source: BinaryIO, name: str) -> BinaryIO:
    """Returns a temporary file with the content of a source, from its start if it can.

    Raises AudioFileError if it is too long.
    """
    copy = TemporaryFile()  # noqa: SIM115  # closed with its reader
    try:
        if source.seekable():
            source.seek(0)
        while block := source.read(1 << 20):
            copy.write(block)
            if copy.tell() > _MAX_STREAM_BYTES:
                raise AudioFileError(
                    f"{name} does not end after {_MAX_STREAM_BYTES >> 20} MB",
                    hint="use the microphone for live audio: --input mic",
                )
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy


def _unreadable(name: str, error: OSError) -> FileUnreadable:
    return FileUnreadable(f"cannot read audio from {name}: {os_error_text(error)}")


@dataclass(frozen=True, slots=True)
class _DataChunk:
    """The data chunk of a WAV file: declared and available length in bytes.

    `offset` is the place of the declared length in the file.
    """

    offset: int
    declared: int
    available: int
    has_chunks: bool  # the rest of the file are other chunks

    @property
    def is_unwritten(self) -> bool:
        """True if the program ended before it wrote the length, or could not seek."""
        return not self.declared and bool(self.available) and not self.has_chunks

    @property
    def missing(self) -> int:
        """Bytes that a truncated file lacks; 0 if its writer did not know the length.

        libsndfile plays the rest of a truncated file without an error.
        """
        if self.declared >= _MIN_UNKNOWN_LENGTH:
            return 0
        return max(0, self.declared - self.available)


def _find_audio(file: BinaryIO, name: str) -> _DataChunk | None:
    """Returns the data chunk of a WAV file, None for other formats; seeks to the start.

    Raises AudioFileError for an empty file.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if not size:
        raise AudioFileError(f"{name} is empty")
    try:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return None  # libsndfile checks it
        while len(chunk := file.read(8)) == 8:
            length, at = int.from_bytes(chunk[4:], "little"), file.tell()
            if chunk[:4] == b"data":
                has_chunks = _are_chunks(file, size)
                return _DataChunk(at - 4, length, size - at, has_chunks)
            file.seek(length + length % 2, 1)  # chunks are padded to even lengths
        return None
    finally:
        file.seek(0)


def _are_chunks(file: BinaryIO, size: int) -> bool:
    """True if the rest of a file are whole chunks, not audio."""
    while len(chunk := file.read(8)) == 8:
        length = int.from_bytes(chunk[4:], "little")
        end = file.tell() + length
        if not chunk[:4].isalnum() or end > size:
            return False
        file.seek(min(size, end + length % 2))
    return not chunk and file.tell() == size


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Discards what C libraries write to the standard error of this process.

    Other threads must not write to it meanwhile: it is lost.
    """
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _decode(source: soundfile.SoundFile) -> BinaryIO:
    """Returns a temporary WAV file with the audio of a file."""
    copy = TemporaryFile()  # noqa: SIM115  # closed with its reader
    try:
        with _load_soundfile().SoundFile(
            *(copy, "w", source.samplerate, source.channels),
            format="RF64",  # without WAV's limit of 4 GB
            subtype="PCM_16",
        ) as target:
            for block in source.blocks(source.samplerate, dtype="float32"):
                target.write(block)
        copy.seek(0)
    except BaseException:
        copy.close()
        raise
    return copy


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
                hint="name a sound file, such as call.wav, or use --output null",
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


# Extensions that are not the names that libsndfile gives to their formats.
_FORMATS = {"AIF": "AIFF", "OGA": "OGG", "OPUS": "OGG"}
_SUBTYPES = {"OPUS": "OPUS"}


def open_writer(path: Path) -> WavWriter:
    """Returns the writer of an audio file, in the format of its extension.

    Raises AudioFileError for an extension without a format.
    """
    extension = path.suffix[1:].upper()
    if extension in ("WAV", "WAVE"):
        return WavWriter(path)
    if extension and extension != "RAW":  # without a header
        soundfile = _load_soundfile()
        format = _FORMATS.get(extension, extension)
        subtype = _SUBTYPES.get(extension)
        if format in soundfile.available_formats() and soundfile.check_format(
            format, subtype
        ):
            return EncodedWriter(path, format, subtype)
    problem = f"'{path.suffix}' is not an audio format" if extension else "no extension"
    raise AudioFileError(
        f"cannot write audio to '{path}': {problem}",
        hint="name a file that ends in .wav, .flac, .ogg or .mp3",
    )


class EncodedWriter(WavWriter):
    """Writes a 24 kHz mono file with libsndfile; complete when it is closed."""

    def __init__(self, path: Path, format: str, subtype: str | None = None) -> None:
        super().__init__(path)
        self._format, self._subtype = format, subtype
        self._sound: soundfile.SoundFile | None = None
        self._target: _Target | None = None

    def write(self, pcm: bytes) -> None:
        """Appends audio."""
        if self._file is None:
            raise ValueError("the recording is not open")
        with self._errors(self._file):
            if self._sound is None:
                self._sound = self._begin(self._file)
            self._sound.write(np.frombuffer(pcm, "<i2"))
        self._data_bytes += len(pcm)

    def close(self) -> None:
        """Completes and closes the file; removes a new one without data."""
        sound, self._sound = self._sound, None
        try:
            if sound is not None and self._file is not None:
                with self._errors(self._file):
                    sound.close()
        finally:
            super().close()

    def _begin(self, file: FileIO) -> soundfile.SoundFile:
        file.truncate(0)
        self._target = _Target(file)
        return _load_soundfile().SoundFile(
            *(self._target, "w", SAMPLE_RATE, 1),
            format=self._format,
            subtype=self._subtype,
        )

    @contextlib.contextmanager
    def _errors(self, file: FileIO) -> Iterator[None]:
        """Raises the errors of the disk, which libsndfile does not report."""
        what = "cannot continue writing"
        try:
            yield
        except OSError as error:
            raise self._error(what, error) from error
        except (_load_soundfile().SoundFileError, AssertionError) as error:
            if self._target is None or self._target.error is None:
                reason = _reason(error)
                raise AudioFileError(f"{what} '{self._path}': {reason}") from error
        if self._target is not None and self._target.error is not None:
            raise self._error(what, self._target.error)


class _Target(FileIO):
    """A file for libsndfile, whose callbacks must not raise; stores the first error."""

    def __init__(self, file: FileIO) -> None:
        super().__init__(file.fileno(), "rb+", closefd=False)
        self.error: OSError | None = None

    def write(self, data: Any, /) -> int:
        view = memoryview(data)
        try:
            written = super().write(view)
            while written < len(view):
                written += super().write(view[written:])
        except OSError as error:
            self.error = self.error or error
            return 0
        return len(view)


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
