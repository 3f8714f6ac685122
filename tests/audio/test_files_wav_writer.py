import contextlib
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from runner.audio.files import WavWriter, audio_writer, load_pcm, wav_header
from runner.audio.pcm import to_pcm, to_samples
from runner.errors import AudioFileError

SOUND = b"\x01\x02" * 1_200


def frames_of(path: Path) -> int:
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.subtype) == (24_000, 1, "PCM_16")
    return int(info.frames)


def test_the_file_is_valid_after_every_write(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    recording = WavWriter(path)
    recording.open()
    for count in range(1, 4):
        recording.write(SOUND)
        # Read as a killed program would have left it: nothing was closed.
        assert frames_of(path) == 1_200 * count
    recording.close()
    assert path.read_bytes() == wav_header(7_200) + SOUND * 3


def test_it_agrees_with_another_implementation(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    recording = WavWriter(path)
    recording.open()
    recording.write(SOUND)
    recording.close()
    assert soundfile.read(path, dtype="int16")[0].tobytes() == SOUND


def test_an_older_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(bytes(100_000))
    recording = WavWriter(path)
    recording.open()
    recording.write(SOUND)
    recording.close()
    assert path.stat().st_size == 44 + len(SOUND)


def test_an_older_file_stays_when_nothing_is_recorded(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(b"precious")
    recording = WavWriter(path)
    recording.open()
    recording.close()
    assert path.read_bytes() == b"precious"


def test_a_recording_of_nothing_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    recording = WavWriter(path)
    recording.open()
    assert path.exists()
    recording.close()
    recording.close()
    assert not path.exists()


def test_a_folder_cannot_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="it is a folder") as caught:
        WavWriter(tmp_path).open()
    assert "--output null" in (caught.value.hint or "")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "calls" / "one.wav"
    with pytest.raises(AudioFileError, match="no such file or directory") as caught:
        WavWriter(path).open()
    assert caught.value.hint == f"create the folder '{path.parent}' first"
    assert str(path) in caught.value.message


@pytest.mark.skipif(sys.platform == "win32", reason="no device files there")
def test_a_device_file_is_refused() -> None:
    with pytest.raises(AudioFileError, match="not a regular file"):
        WavWriter(Path("/dev/null")).open()


def test_a_write_that_fails_is_a_sentence_and_the_file_stays_valid(
    tmp_path: Path,
) -> None:
    resource = pytest.importorskip("resource", reason="limits files on POSIX only")
    signal = pytest.importorskip("signal")
    path = tmp_path / "call.wav"
    recording = WavWriter(path)
    recording.open()
    recording.write(SOUND)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:  # a full disk, to the program: the file can grow by 100 bytes and no more
        resource.setrlimit(resource.RLIMIT_FSIZE, (44 + len(SOUND) + 100, limits[1]))
        with pytest.raises(AudioFileError, match="cannot continue writing .*call.wav"):
            recording.write(SOUND)
        recording.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert frames_of(path) == 1_200


def test_a_recording_that_is_not_open_refuses(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not open"):
        WavWriter(tmp_path / "call.wav").write(SOUND)


def test_a_day_of_audio_does_not_overflow_the_header() -> None:
    assert len(wav_header(2 * 24_000 * 86_400 * 3)) == 44


@pytest.mark.parametrize(
    ("name", "format", "error"),
    [
        *[("a.flac", "FLAC", 1e-4), ("a.FLAC", "FLAC", 1e-4), ("a.aif", "AIFF", 1e-4)],
        *[("a.ogg", "OGG", 0.1), ("a.opus", "OGG", 0.2), ("a.mp3", "MP3", 0.2)],
        *[("a.wav", "WAV", 1e-4), ("a.w64", "W64", 1e-4)],
    ],
)
def test_the_extension_determines_the_format(
    name: str, format: str, error: float, tmp_path: Path
) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000)
    writer = audio_writer(tmp_path / name)
    writer.open()
    for piece in np.split(tone, 10):
        writer.write(to_pcm(piece.astype(np.float32)))
    writer.close()

    with soundfile.SoundFile(tmp_path / name) as file:
        assert file.format == format
    heard = to_samples(load_pcm(tmp_path / name))
    assert 24_000 <= len(heard) < 27_000
    assert abs(np.abs(heard[4_000:20_000]).max() - 0.5) < error


@pytest.mark.parametrize("name", ["call", "call.txt", "call.raw", "call.wav.bak"])
def test_an_extension_without_a_format_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="cannot write audio to") as caught:
        audio_writer(tmp_path / name)
    assert caught.value.hint == "name a file that ends in .wav, .flac, .ogg or .mp3"


def test_a_compressed_file_without_audio_is_removed(tmp_path: Path) -> None:
    writer = audio_writer(tmp_path / "call.flac")
    writer.open()
    writer.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
@pytest.mark.parametrize("name", ["call.wav", "call.aiff", "call.flac"])
def test_a_full_disk_is_one_clear_sentence(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import resource

    noise = np.random.default_rng(1).integers(-9_000, 9_000, 96_000, "<i2")
    writer = audio_writer(tmp_path / name)
    writer.open()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(AudioFileError, match="file too large") as caught:
            writer.write(noise.tobytes())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with contextlib.suppress(AudioFileError):
        writer.close()
    assert f"'{tmp_path / name}'" in caught.value.message
    assert capfd.readouterr().err == ""
