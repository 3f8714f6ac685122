"""PCM16 arithmetic: pure functions from bytes or samples to bytes or samples.

"pcm" is always mono 16-bit little-endian; "samples" are float32 from -1 to 1.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from runner.audio.devices import SAMPLE_BYTES, SAMPLE_RATE

Samples: TypeAlias = NDArray[np.float32]  # mono, -1 to 1

TELEPHONE_RATE = 8_000  # what G.711 is defined for, in hertz
# Result of `loudness` for digital silence: a number that JSON and a meter can show,
# well under the -90.3 dBFS of the smallest 16-bit square wave.
SILENCE_DBFS = -120.0
# Audio above this counts as a voice: room noise of a laptop is near -60 dBFS, quiet
# speech above -40.
VOICE_DBFS = -45.0

_FULL_SCALE = 32_768.0
_INT16: np.dtype[np.int16] = np.dtype("<i2")


def interleave(left: bytes, right: bytes) -> bytes:
    """Returns two mono PCM16 signals of equal length as one stereo signal."""
    both = np.empty((len(left) // SAMPLE_BYTES, 2), _INT16)
    both[:, 0] = np.frombuffer(left, _INT16)
    both[:, 1] = np.frombuffer(right, _INT16)
    return both.tobytes()


def to_samples(pcm: bytes) -> Samples:
    """Returns PCM16 as samples; raises ValueError for half a sample."""
    return np.frombuffer(pcm, _INT16).astype(np.float32) / np.float32(_FULL_SCALE)


def to_pcm(samples: Samples) -> bytes:
    """Returns samples as PCM16, rounded and clipped to full scale.

    `to_pcm(to_samples(pcm)) == pcm` for every `pcm`. Not-a-number is not allowed.
    """
    scaled = np.rint(samples * np.float32(_FULL_SCALE))
    limited: Samples = np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1)
    return limited.astype(_INT16).tobytes()


def silence(duration_ms: float, rate: int = SAMPLE_RATE) -> bytes:
    """Returns silence of this length, rounded to whole samples."""
    return bytes(SAMPLE_BYTES * round(duration_ms * rate / 1000))


def duration_ms(pcm: bytes, rate: int = SAMPLE_RATE) -> float:
    """Returns the duration of the audio in milliseconds."""
    return len(pcm) * 1000 / (SAMPLE_BYTES * rate)


def loudness(pcm: bytes) -> float:
    """Returns the RMS level in dB relative to full scale (a sine at full scale: -3.01).

    The result for silence and for no samples is `SILENCE_DBFS`, the lower bound.
    """
    if not pcm:
        return SILENCE_DBFS
    samples = to_samples(pcm)
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    if power == 0:
        return SILENCE_DBFS
    return max(SILENCE_DBFS, 10 * float(np.log10(power)))


def is_louder(pcm: bytes, dbfs: float) -> bool:
    """True if `loudness` is above a level; takes a tenth of its time.

    Sums in single precision: within a thousandth of a decibel of the level, either
    result is possible.
    """
    samples: NDArray[np.float32] = np.frombuffer(pcm, _INT16).astype(np.float32)
    power = float(samples.dot(samples))
    return power > len(samples) * _FULL_SCALE**2 * 10 ** (dbfs / 10)


def mix_to_mono(interleaved: Samples, channels: int) -> Samples:
    """Returns the average of the channels of interleaved samples, which cannot clip."""
    if channels == 1:
        return interleaved
    frames: Samples = interleaved.reshape(-1, channels)
    mono: Samples = frames.mean(axis=1, dtype=np.float32)
    return mono


def spread(pcm: bytes, channels: int) -> bytes:
    """Returns mono PCM16 repeated on this number of interleaved channels."""
    if channels == 1:
        return pcm
    return np.repeat(np.frombuffer(pcm, _INT16), channels).tobytes()


def fade_out(pcm: bytes, channels: int = 1) -> bytes:
    """Returns this interleaved audio, falling linearly to zero at its last sample.

    The first sample keeps its value, which avoids a step after the audio before
    it, even if this is the tail of an earlier fade.
    """
    frames = len(pcm) // (SAMPLE_BYTES * channels)
    gains = np.linspace(1.0, 0.0, frames, dtype=np.float32)
    if frames == 1:
        gains[0] = 0.0  # one sample is too short for a ramp
    return scale(pcm, gains, channels)


def scale(pcm: bytes, gains: Samples, channels: int = 1) -> bytes:
    """Returns this interleaved audio, each frame multiplied by its gain (0 to 1)."""
    frames = np.frombuffer(pcm, _INT16).reshape(-1, channels)
    scaled: Samples = np.rint(frames * gains[:, np.newaxis])
    return scaled.astype(_INT16).tobytes()


def encode_mulaw(pcm: bytes) -> bytes:
    """Returns PCM16 as G.711 mu-law, one byte per sample (8 kHz by definition)."""
    return _look_up(_mulaw_codes(), np.frombuffer(pcm, _INT16).view("<u2"))


def decode_mulaw(coded: bytes) -> bytes:
    """Returns G.711 mu-law as PCM16."""
    return _look_up(_mulaw_values(), np.frombuffer(coded, np.uint8))


def encode_alaw(pcm: bytes) -> bytes:
    """Returns PCM16 as G.711 A-law, one byte per sample (8 kHz by definition)."""
    return _look_up(_alaw_codes(), np.frombuffer(pcm, _INT16).view("<u2"))


def decode_alaw(coded: bytes) -> bytes:
    """Returns G.711 A-law as PCM16."""
    return _look_up(_alaw_values(), np.frombuffer(coded, np.uint8))


def _look_up(table: NDArray[Any], index: NDArray[Any]) -> bytes:
    return table.take(index).tobytes()


# The four tables follow the ITU's own program (G.191 software tool library, g711.c).
# It folds negative values by one's complement, so that -1 is as quiet as 0.


@cache
def _mulaw_codes() -> NDArray[np.uint8]:
    """Returns the code of each 16-bit value, indexed by its unsigned bits."""
    value = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.minimum((np.where(value < 0, ~value, value) >> 2) + 33, 0x1FFF)
    segment = _highest_bit(magnitude) - 4  # 1 to 8: 33 has its highest bit at 5
    mantissa = (magnitude >> segment) & 0x0F
    code = ((8 - segment) << 4) | (0x0F - mantissa)
    signed: NDArray[np.int32] = np.where(value >= 0, code | 0x80, code)
    return signed.astype(np.uint8)


@cache
def _mulaw_values() -> NDArray[np.int16]:
    code = np.arange(256, dtype=np.int32)
    exponent = (~code >> 4) & 0x07
    step = 4 << (exponent + 1)
    magnitude = (0x80 << exponent) + step * (~code & 0x0F) + step // 2 - 4 * 33
    value: NDArray[np.int32] = np.where(code < 0x80, -magnitude, magnitude)
    return value.astype(_INT16)


@cache
def _alaw_codes() -> NDArray[np.uint8]:
    """Returns the code of each 16-bit value, indexed by its unsigned bits."""
    value = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.where(value < 0, ~value, value) >> 4
    # Below 32 the scale is linear: no exponent, and the bits are the code.
    exponent = np.maximum(_highest_bit(magnitude) - 3, 1)
    curved = (exponent << 4) + ((magnitude >> (exponent - 1)) - 16)
    code = np.where(magnitude > 15, curved, magnitude)
    signed: NDArray[np.int32] = np.where(value >= 0, code | 0x80, code)
    return (signed ^ 0x55).astype(np.uint8)


@cache
def _alaw_values() -> NDArray[np.int16]:
    code = np.arange(256, dtype=np.int32)
    bits = (code ^ 0x55) & 0x7F
    exponent = bits >> 4
    mantissa = ((bits & 0x0F) + np.where(exponent > 0, 16, 0) << 4) + 8
    magnitude = mantissa << np.maximum(exponent - 1, 0)
    value: NDArray[np.int32] = np.where(code > 0x7F, magnitude, -magnitude)
    return value.astype(_INT16)


def _highest_bit(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Returns the position of the highest set bit (0 for 1, and 0 for 0)."""
    return (np.frexp(np.maximum(values, 1).astype(np.float64))[1] - 1).astype(np.int32)


class Framer:
    """Splits a stream of pieces of any length into frames of one length, in order.

    An incomplete frame is kept for the next piece. No byte is lost or repeated.
    """

    def __init__(self, frame_bytes: int) -> None:
        if frame_bytes < 1:
            raise ValueError(f"a frame of {frame_bytes} bytes")
        self._frame_bytes = frame_bytes
        self._rest = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """Adds a piece; returns the frames that it completes, if any."""
        stream = self._rest + piece
        size = self._frame_bytes
        whole = len(stream) - len(stream) % size
        self._rest = stream[whole:]
        return [stream[start : start + size] for start in range(0, whole, size)]

    def flush(self) -> bytes:
        """Returns the incomplete frame, padded with silence; empty if there is none."""
        rest, self._rest = self._rest, b""
        return rest.ljust(self._frame_bytes, b"\0") if rest else b""


class ByteQueue:
    """A queue of bytes, appended and taken in pieces of any size without copying.

    Not thread-safe: threads that share one need a lock.
    """

    def __init__(self) -> None:
        self._pieces: deque[memoryview] = deque()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, piece: bytes | memoryview) -> None:
        """Appends at the end."""
        if len(piece):
            self._pieces.append(memoryview(piece))
            self._length += len(piece)

    def take(self, size: int) -> bytes:
        """Removes and returns the first bytes, at most `size`."""
        taken: list[memoryview] = []
        wanted = min(size, self._length)
        self._length -= wanted
        while wanted:
            piece = self._pieces.popleft()
            if len(piece) > wanted:
                self._pieces.appendleft(piece[wanted:])
                piece = piece[:wanted]
            taken.append(piece)
            wanted -= len(piece)
        return b"".join(taken)

    def clear(self) -> None:
        """Removes all bytes."""
        self._pieces.clear()
        self._length = 0
