"""Level envelopes of WAV files."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from runner.audio.files import wav_header
from runner.errors import AudioFileError
from runner.recording.audio_tracks import STEP, Envelope, read_voices

SECOND = 24_000


def tone(seconds: float, height: int = 8000) -> bytes:
    return np.full(round(seconds * SECOND), height, "<i2").tobytes()


def save(path: Path, pcm: bytes, promised: int | None = None) -> None:
    size = len(pcm) if promised is None else promised
    path.write_bytes(wav_header(size) + pcm)


def read(folder: Path) -> Envelope:
    voices = read_voices(folder)
    assert voices is not None
    return voices.caller


def test_a_voice_is_found_where_it_is_heard(tmp_path: Path) -> None:
    save(tmp_path / "caller.wav", tone(0.5, 0) + tone(0.3) + tone(1.2, 20))
    save(tmp_path / "agent.wav", b"")
    voice = read(tmp_path)

    assert voice.seconds == pytest.approx(2.0)
    assert voice.first_loud(0, 2) == pytest.approx(0.5)
    assert voice.last_loud(0, 2) == pytest.approx(0.8)
    assert voice.first_loud(1, 2) is None
    assert voice.last_loud(1, 2) is None
    assert voice.quiet_from(0.6) == pytest.approx(0.8)
    assert voice.quiet_from(1.5) == 1.5
    assert voice.quiet_from(9.0) == 9.0


def test_an_envelope_has_the_peak_of_each_part(tmp_path: Path) -> None:
    save(tmp_path / "caller.wav", tone(0.5, 0) + tone(0.5, 16384))
    save(tmp_path / "agent.wav", b"")
    voice = read(tmp_path)

    assert voice.envelope(4, 2.0).tolist() == [0.0, 0.5, 0.0, 0.0]
    assert len(voice.envelope(1000, 1.0)) == 1000
    assert Envelope(np.zeros(0, np.float32), np.zeros(0, np.bool_)).envelope(
        2, 1.0
    ).tolist() == [0.0, 0.0]


def test_a_file_that_a_kill_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    save(tmp_path / "caller.wav", tone(0.5)[:-1], promised=480_000)
    save(tmp_path / "agent.wav", tone(0.1))

    assert read(tmp_path).seconds == pytest.approx(0.5, abs=STEP)


def test_a_recording_without_audio_has_no_envelopes(tmp_path: Path) -> None:
    assert read_voices(tmp_path) is None


def test_audio_in_another_format_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "agent.wav", tone(0.1))
    (tmp_path / "caller.wav").write_bytes(b"no sound")
    with pytest.raises(AudioFileError, match=r"caller\.wav' cannot be read"):
        read_voices(tmp_path)
    with wave.open(str(tmp_path / "caller.wav"), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(800))
    with pytest.raises(
        AudioFileError, match="is not in the audio format of recordings"
    ):
        read_voices(tmp_path)
