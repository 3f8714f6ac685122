"""The rate limit of incoming audio."""

from __future__ import annotations

import pytest

from runner.protocol.server.session import AUDIO_AHEAD_SECONDS, AudioRateLimiter

SECOND = bytes(48_000)


def test_real_time_audio_is_always_accepted() -> None:
    intake = AudioRateLimiter()

    for now in range(100):
        assert intake.check(SECOND, "audio/pcm", float(now)) is None
        assert not intake.refusing


def test_audio_up_to_the_limit_is_accepted() -> None:
    intake = AudioRateLimiter()
    for _ in range(int(AUDIO_AHEAD_SECONDS)):
        intake.check(SECOND, "audio/pcm", 50.0)
        assert not intake.refusing

    assert intake.check(b"\0\0", "audio/pcm", 50.0) is not None


def test_the_excess_of_a_burst_is_refused_and_reported_once() -> None:
    intake = AudioRateLimiter()
    told = [intake.check(SECOND, "audio/pcm", 0.0) for _ in range(20)]

    assert [told for told in told if told is not None] == [
        (
            "audio_rate_violation",
            "Audio arrives faster than real time; the excess is dropped",
        )
    ]
    assert told[int(AUDIO_AHEAD_SECONDS)] is not None
    assert intake.refusing


def test_audio_is_accepted_again_after_a_pause() -> None:
    intake = AudioRateLimiter()
    for _ in range(20):
        intake.check(SECOND, "audio/pcm", 0.0)

    assert intake.check(SECOND, "audio/pcm", 1.0) is None
    assert not intake.refusing


def test_a_silent_client_earns_no_credit() -> None:
    intake = AudioRateLimiter()
    intake.check(SECOND, "audio/pcm", 1_000.0)
    for _ in range(20):
        intake.check(SECOND, "audio/pcm", 1_000.0)

    assert intake.refusing


def test_telephone_audio_is_counted_by_its_own_rate() -> None:
    intake = AudioRateLimiter()

    assert intake.check(bytes(8_000 * 10), "audio/pcmu", 0.0) is None
    assert intake.check(bytes(8_000), "audio/pcmu", 0.0) is not None


def test_a_wav_file_is_refused() -> None:
    header = b"RIFF\x24\x00\x00\x00WAVEfmt "

    code = AudioRateLimiter().check(header, "audio/pcm", 0.0)

    assert code == ("invalid_audio", "Invalid audio data")


@pytest.mark.parametrize("pcm", [b"RIFF" + bytes(8), bytes(8) + b"WAVE"])
def test_audio_may_begin_like_half_a_wav_header(pcm: bytes) -> None:
    assert AudioRateLimiter().check(pcm, "audio/pcm", 0.0) is None
