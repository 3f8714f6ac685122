import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.audio.files import SoundReader, compress, load_pcm
from runner.audio.pcm import to_pcm, to_samples
from runner.errors import AudioFileError, FileUnreadable, VagentError


def tone(rate: int, seconds: float = 0.3) -> np.ndarray:
    times = np.arange(round(rate * seconds)) / rate
    return 0.5 * np.sin(2 * np.pi * 440 * times)


def write(path: Path, rate: int, channels: int, subtype: str, **format: str) -> Path:
    frames = np.repeat(tone(rate)[:, np.newaxis], channels, axis=1)
    soundfile.write(path, frames, rate, subtype=subtype, **format)
    return path


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return write(tmp_path / "tone.wav", 24_000, 1, "PCM_16")


@pytest.mark.parametrize(
    ("rate", "channels", "subtype", "format", "error"),
    [
        (24_000, 1, "PCM_16", "WAV", 1e-4),
        (8_000, 1, "PCM_U8", "WAV", 0.02),
        (44_100, 2, "PCM_24", "WAV", 1e-3),
        (96_000, 1, "FLOAT", "WAV", 1e-3),
        (16_000, 2, "DOUBLE", "WAV", 1e-3),
        (22_050, 1, "PCM_32", "WAV", 1e-3),
        (48_000, 6, "PCM_16", "WAVEX", 1e-3),
        (192_000, 1, "PCM_24", "WAVEX", 1e-3),
        (8_000, 1, "ULAW", "WAV", 0.03),
        (8_000, 1, "ALAW", "WAV", 0.03),
        (44_100, 2, "PCM_16", "FLAC", 1e-3),
    ],
)
def test_any_file_becomes_24_khz_mono(
    rate: int, channels: int, subtype: str, format: str, error: float, tmp_path: Path
) -> None:
    path = write(tmp_path / "tone", rate, channels, subtype, format=format)
    heard = to_samples(load_pcm(path))
    assert abs(len(heard) - 7_200) <= 1
    # The ends ring where the tone was cut off, which the new band cannot hold.
    middle = slice(480, 7_200 - 480)
    assert np.abs(heard[middle] - tone(24_000)[middle]).max() < error


@given(
    rate=st.sampled_from([8_000, 11_025, 16_000, 24_000, 48_000]),
    channels=st.integers(1, 4),
    subtype=st.sampled_from(["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]),
    count=st.integers(1, 6_000),
)
@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_every_format_keeps_the_length(
    rate: int, channels: int, subtype: str, count: int, tmp_path: Path
) -> None:
    path = tmp_path / "noise.wav"
    soundfile.write(path, np.zeros((count, channels)), rate, subtype=subtype)
    assert abs(len(load_pcm(path)) // 2 - count * 24_000 / rate) <= 1


def test_our_own_format_comes_back_to_the_bit(tmp_path: Path) -> None:
    pcm = np.random.default_rng(1).integers(-32_768, 32_768, 50_000, "<i2")
    path = tmp_path / "noise.wav"
    soundfile.write(path, pcm, 24_000, subtype="PCM_16")
    assert load_pcm(path) == pcm.tobytes()


def test_flac_loses_nothing_and_keeps_channels_apart(tmp_path: Path) -> None:
    both = np.random.default_rng(1).integers(-9000, 9000, (48_000, 2), dtype=np.int16)
    soundfile.write(tmp_path / "both.wav", both, 24_000, subtype="PCM_16")
    (tmp_path / "both.flac").write_bytes(compress(tmp_path / "both.wav", "FLAC"))

    samples, rate = soundfile.read(tmp_path / "both.flac", dtype="int16")
    assert rate == 24_000
    assert np.array_equal(samples, both)


def test_vorbis_keeps_the_length_to_the_sample(tmp_path: Path) -> None:
    tone = np.sin(np.arange(50_001) / 20)[:, np.newaxis] * [0.5, 0.1]
    soundfile.write(tmp_path / "both.wav", tone, 24_000, subtype="PCM_16")
    (tmp_path / "both.ogg").write_bytes(compress(tmp_path / "both.wav", "OGG"))

    samples, _ = soundfile.read(tmp_path / "both.ogg")
    assert samples.shape == tone.shape
    assert np.abs(samples - tone).max() < 0.05


def test_a_file_that_is_not_audio_cannot_be_compressed(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"none")
    with pytest.raises(AudioFileError, match=r"x\.wav' cannot be compressed"):
        compress(tmp_path / "x.wav", "FLAC")


def test_channels_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    stereo = np.column_stack([np.full(2_400, 0.5), np.full(2_400, -0.25)])
    soundfile.write(path, stereo, 24_000, subtype="FLOAT")
    assert set(np.frombuffer(load_pcm(path), "<i2")) == {4_096}


def test_a_long_file_is_not_loaded_at_once(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros((48_000 * 60, 2), "<i2"), 48_000)
    tracemalloc.start()
    with SoundReader(path) as reader:
        assert reader.duration_seconds == 60
        total = sum(len(block) for block in reader.blocks())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 60 * 48_000
    assert peak < 1_000_000 < path.stat().st_size / 10


def test_what_is_not_a_number_is_silence(tmp_path: Path) -> None:
    path = tmp_path / "nan.wav"
    samples = np.array([0.5, np.nan, np.inf, -np.inf] * 600, np.float32)
    soundfile.write(path, samples, 24_000, subtype="FLOAT")
    heard = to_samples(load_pcm(path))
    assert np.isfinite(heard).all()
    assert to_pcm(heard[:2]) == to_pcm(np.array([0.5, 0.0], np.float32))


def cut(count: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:count]


def patch(offset: int, piece: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data[:offset] + piece + data[offset + len(piece) :]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (cut(0), "is empty"),
        (lambda data: b"hello world " * 100, "as a sound file: "),
        (lambda data: os.urandom(5_000), "as a sound file: "),
        (cut(12), "as a sound file: "),
        (cut(30), "as a sound file: "),
        (cut(44), "truncated: 14400 bytes of its audio are missing"),
        (cut(7_244), "truncated: 7200 bytes of its audio are missing"),
        (lambda data: data[:40] + bytes(4), "contains no audio"),
        (patch(24, bytes(4)), "as a sound file: "),
        (patch(24, b"\xff\xff\xff\x7f"), "impossible sample rate of 2147483647 Hz"),
        (patch(22, bytes(2)), "as a sound file: "),
    ],
    ids=[
        *("empty", "text", "noise", "riff only", "half a header", "header only"),
        *("half", "no data", "rate 0", "rate 2e9", "no channels"),
    ],
)
def test_a_broken_file_is_one_clear_sentence(
    wav: Path, spoil: Callable[[bytes], bytes], sentence: str
) -> None:
    wav.write_bytes(spoil(wav.read_bytes()))
    with pytest.raises(AudioFileError) as caught:
        load_pcm(wav)
    assert sentence in caught.value.message
    assert f"'{wav}'" in caught.value.message
    assert not caught.value.message.endswith(".")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "declared",
    [
        *(0, 0xFFFF_FFFF, 0xFFFF_FFFF - 36, 0xFFFF_FFFF - 44, 0x8000_0000),
        *(0x7FFF_FFFF, 0x7FFF_FFFF - 36, 0x7FFF_F000, 0x7FFF_0000),
    ],
)
def test_a_length_that_a_pipe_could_not_know_is_fine(declared: int, wav: Path) -> None:
    data = wav.read_bytes()
    unknown = declared.to_bytes(4, "little")
    wav.write_bytes(data[:4] + unknown + data[8:40] + unknown + data[44:])
    assert len(load_pcm(wav)) == len(data) - 44
    assert wav.read_bytes()[40:44] == unknown


def test_chunks_after_a_length_of_0_are_not_audio(wav: Path) -> None:
    note = b"LIST" + (5).to_bytes(4, "little") + b"hello\0"
    wav.write_bytes(wav.read_bytes()[:40] + bytes(4) + note)
    with pytest.raises(AudioFileError, match="contains no audio"):
        load_pcm(wav)


def test_nothing_is_printed_about_a_valid_mp3_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # Noise makes frames that libmpg123 warns about, as libsndfile writes them.
    noise = np.random.default_rng(1).normal(0, 0.2, 48_000)
    path = tmp_path / "tone.mp3"
    soundfile.write(path, noise, 24_000)

    pcm = load_pcm(path)

    assert 2 * 48_000 <= len(pcm) < 2 * 52_000
    assert capfd.readouterr().err == ""


def test_chunks_before_the_audio_are_stepped_over(wav: Path) -> None:
    data = wav.read_bytes()
    note = b"LIST" + (5).to_bytes(4, "little") + b"hello\0"  # odd, therefore padded
    wav.write_bytes(data[:36] + note + data[36:])
    assert load_pcm(wav) == data[44:]
    wav.write_bytes(wav.read_bytes()[:-100])
    with pytest.raises(AudioFileError, match="100 bytes"):
        load_pcm(wav)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="no such file or directory"):
        load_pcm(tmp_path / "none.wav")


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="it is a folder"):
        load_pcm(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="no device files there")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.wav"
    os.mkfifo(path)
    with pytest.raises(FileUnreadable, match="it is a pipe"):
        load_pcm(path)


@given(data=st.data())
@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_damage_to_a_header_gets_past_as_anything_but_a_sentence(
    data: st.DataObject, tmp_path: Path
) -> None:
    path = write(tmp_path / "tone.wav", 16_000, 2, "PCM_24")
    content = bytearray(path.read_bytes()[:2_000])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, 59))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        pcm = load_pcm(path)
    except VagentError as error:
        assert error.exit_code == 3
    else:
        assert len(pcm) % 2 == 0


def test_a_reader_that_is_not_open_refuses(wav: Path) -> None:
    reader = SoundReader(wav)
    assert reader.duration_seconds == 0
    with pytest.raises(ValueError, match="not open"):
        next(reader.blocks())
