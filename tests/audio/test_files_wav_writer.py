import sys
from pathlib import Path

import pytest
import soundfile

from runner.audio.files import WavWriter, wav_header
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
