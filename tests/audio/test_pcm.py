import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from runner.audio.pcm import (
    SILENCE_DBFS,
    Samples,
    decode_alaw,
    decode_mulaw,
    duration_ms,
    encode_alaw,
    encode_mulaw,
    fade_out,
    is_louder,
    loudness,
    mix_to_mono,
    silence,
    spread,
    to_pcm,
    to_samples,
)

EVERY_VALUE = np.arange(-32_768, 32_768).astype("<i2")
SOUND = st.binary(max_size=400).map(lambda data: data[: len(data) & ~1])


def pack(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}h", *values)


def values(pcm: bytes) -> list[int]:
    return [int(value) for value in np.frombuffer(pcm, "<i2")]


def test_every_value_survives_the_way_through_samples() -> None:
    assert to_pcm(to_samples(EVERY_VALUE.tobytes())) == EVERY_VALUE.tobytes()


def test_samples_beyond_full_scale_are_clipped_not_wrapped() -> None:
    loud = np.array([1.0, 1.5, 1e9, -1.0, -1.5, -1e9], np.float32)
    assert values(to_pcm(loud)) == [32_767] * 3 + [-32_768] * 3


def test_samples_are_rounded_to_the_nearest_value() -> None:
    near = np.array([0.6 / 32_768, -0.6 / 32_768, 0.4 / 32_768], np.float32)
    assert values(to_pcm(near)) == [1, -1, 0]


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of element size"):
        to_samples(b"abc")


@pytest.mark.parametrize(
    ("pcm", "rate", "expected"),
    [(b"", 24_000, 0.0), (bytes(2_400), 24_000, 50.0), (bytes(320), 8_000, 20.0)],
)
def test_duration_follows_from_length_and_rate(
    pcm: bytes, rate: int, expected: float
) -> None:
    assert duration_ms(pcm, rate) == expected


def test_silence_is_as_long_as_asked() -> None:
    assert silence(50) == bytes(2_400)
    assert silence(20, 8_000) == bytes(320)


def test_loudness_of_a_full_scale_sine_is_minus_three_decibels() -> None:
    sine = np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000).astype(np.float32)
    assert loudness(to_pcm(sine)) == pytest.approx(-3.01, abs=0.01)


def test_half_the_amplitude_is_six_decibels_less() -> None:
    assert loudness(pack(8_192) * 99) == pytest.approx(-20 * math.log10(4), abs=0.01)


@given(st.binary(max_size=200), st.floats(-90, 0))
def test_being_louder_is_what_the_loudness_says(sound: bytes, level: float) -> None:
    pcm = sound[: len(sound) & ~1]
    assume(abs(loudness(pcm) - level) > 0.001)

    assert is_louder(pcm, level) == (loudness(pcm) > level)


def test_loudness_of_nothing_is_a_number() -> None:
    assert loudness(b"") == SILENCE_DBFS
    assert loudness(bytes(2_400)) == SILENCE_DBFS
    assert loudness(bytes(48_000_00) + pack(1)) == SILENCE_DBFS


def test_mixing_averages_the_channels() -> None:
    stereo = np.array([0.5, 0.25, -1.0, 1.0], np.float32)
    assert mix_to_mono(stereo, 2).tolist() == [0.375, 0.0]


def test_spreading_then_mixing_gives_the_same_audio() -> None:
    pcm = pack(1, -2, 32_767)
    assert values(spread(pcm, 3)) == [1, 1, 1, -2, -2, -2] + [32_767] * 3
    assert to_pcm(mix_to_mono(to_samples(spread(pcm, 3)), 3)) == pcm


def test_a_fade_out_begins_at_full_level_and_ends_in_silence() -> None:
    assert values(fade_out(pack(1000, 1000, 1000, 1000, 1000))) == [
        *(1000, 750, 500, 250, 0)
    ]


def test_channels_fade_together() -> None:
    assert values(fade_out(pack(1000, -1000) * 3, 2)) == [1000, -1000, 500, -500, 0, 0]


@pytest.mark.parametrize("pcm", [b"", pack(30_000)])
def test_what_is_too_short_to_fade_is_silenced(pcm: bytes) -> None:
    assert fade_out(pcm) == bytes(len(pcm))


# Codes from the tables of ITU-T G.711 (1a/1b for A-law, 2a/2b for mu-law): the ends of
# the scale, zero, and the first value of some segments, given in 16 bits.
MULAW = {
    0: 0xFF, 3: 0xFF, 4: 0xFE, 11: 0xFE, 12: 0xFD,
    4 * 31: 0xEF, 4 * 95: 0xDF, 4 * 223: 0xCF, 4 * 479: 0xBF,
    4 * 991: 0xAF, 4 * 2_015: 0x9F, 4 * 4_063: 0x8F, 32_767: 0x80,
    -1: 0x7F, -9: 0x7E, -32_768: 0x00,
}  # fmt: skip
ALAW = {
    0: 0xD5, 15: 0xD5, 16: 0xD4, 16 * 32: 0xF5, 16 * 64: 0xE5, 16 * 128: 0x95,
    16 * 256: 0x85, 16 * 512: 0xB5, 16 * 1_024: 0xA5, 32_767: 0xAA,
    -1: 0x55, -17: 0x54, -32_768: 0x2A,
}  # fmt: skip


@pytest.mark.parametrize(("value", "code"), MULAW.items())
def test_mulaw_codes_are_those_of_the_standard(value: int, code: int) -> None:
    assert encode_mulaw(pack(value))[0] == code


@pytest.mark.parametrize(("value", "code"), ALAW.items())
def test_alaw_codes_are_those_of_the_standard(value: int, code: int) -> None:
    assert encode_alaw(pack(value))[0] == code


def test_mulaw_ends_of_scale_expand_to_the_standards_values() -> None:
    assert values(decode_mulaw(bytes([0x00, 0x80, 0x7F, 0xFF]))) == [
        *(-32_124, 32_124, 0, 0)
    ]


def test_alaw_ends_of_scale_expand_to_the_standards_values() -> None:
    assert values(decode_alaw(bytes([0x2A, 0xAA, 0x55, 0xD5]))) == [
        *(-32_256, 32_256, -8, 8)
    ]


@pytest.mark.parametrize(
    ("decode", "subtype"), [(decode_mulaw, "ULAW"), (decode_alaw, "ALAW")]
)
def test_every_code_expands_as_another_implementation_has_it(
    decode: Callable[[bytes], bytes], subtype: str, tmp_path: Path
) -> None:
    path = tmp_path / "codes.raw"
    path.write_bytes(bytes(range(256)))
    theirs, _ = soundfile.read(
        path, dtype="int16", format="RAW", subtype=subtype, samplerate=8_000, channels=1
    )
    assert values(decode(bytes(range(256)))) == theirs.tolist()


@pytest.mark.parametrize(
    ("encode", "decode", "error"),
    [(encode_mulaw, decode_mulaw, 644), (encode_alaw, decode_alaw, 512)],
)
class TestBothLaws:
    def test_louder_never_becomes_quieter(
        self,
        encode: Callable[[bytes], bytes],
        decode: Callable[[bytes], bytes],
        error: float,
    ) -> None:
        there_and_back = np.frombuffer(decode(encode(EVERY_VALUE.tobytes())), "<i2")
        assert np.all(np.diff(there_and_back.astype(int)) >= 0)

    def test_a_second_passage_changes_nothing(
        self,
        encode: Callable[[bytes], bytes],
        decode: Callable[[bytes], bytes],
        error: float,
    ) -> None:
        once = decode(encode(EVERY_VALUE.tobytes()))
        assert decode(encode(once)) == once

    def test_the_error_is_at_most_half_a_step(
        self,
        encode: Callable[[bytes], bytes],
        decode: Callable[[bytes], bytes],
        error: float,
    ) -> None:
        back = np.frombuffer(decode(encode(EVERY_VALUE.tobytes())), "<i2")
        away = np.abs(back.astype(int) - EVERY_VALUE)
        assert away.max() == error
        # A step is at most a sixteenth of its segment's start, so the error is small
        # for small values too.
        assert np.all(away <= np.maximum(np.abs(EVERY_VALUE.astype(int)) / 16, 8))

    @given(pcm=SOUND)
    @settings(deadline=None)  # machines stall
    def test_a_byte_a_sample(
        self,
        encode: Callable[[bytes], bytes],
        decode: Callable[[bytes], bytes],
        error: float,
        pcm: bytes,
    ) -> None:
        assert len(encode(pcm)) == len(pcm) // 2
        assert len(decode(encode(pcm))) == len(pcm)


@given(
    arrays.arrays(np.float32, st.integers(0, 50), elements=st.floats(-4, 4, width=32))
)
@settings(deadline=None)  # machines stall
def test_conversion_is_off_by_at_most_half_a_value(samples: Samples) -> None:
    back = to_samples(to_pcm(samples))
    limited = np.clip(samples, -1.0, 32_767 / 32_768)
    assert np.all(np.abs(back - limited) <= 0.5 / 32_768)
