"""Audio tracks with late frames and jumps in time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.audio.playback import PlaybackBuffer
from runner.recording.audio_tracks import AgentTrack, CallerTrack, Stereo
from tests.recording.calls import FRAME, RATE, noise


def test_frames_of_a_loop_that_was_held_up_have_no_gap_between_them() -> None:
    track, frames = CallerTrack(), [noise(FRAME, n) for n in range(6)]
    track.append(0.05, frames[0])
    for frame in frames[1:]:
        track.append(0.30, frame)  # a quarter of a second late, all at once

    assert track.take() == b"".join(frames)


def test_half_a_sample_is_left_out() -> None:
    track = CallerTrack()
    track.append(0.05, noise(FRAME) + b"\x01")

    assert track.take() == noise(FRAME)


@given(st.lists(st.floats(0.0, 1.0), max_size=30), st.randoms())
def test_a_callers_track_is_never_behind_for_long_nor_loses_audio(
    pauses: list[float], lots: object
) -> None:
    track, at, given, taken = CallerTrack(), 0.0, 0, b""
    for pause in pauses:
        at += pause
        track.append(at, b"\x01\x01" * (FRAME // 2))
        given += FRAME
        track.advance(at)
        taken += track.take()
        assert at * RATE - track.position <= 0.4 * RATE
        assert len(taken) == 2 * track.position
    assert len(taken) - taken.count(0) == given


def test_two_sides_are_interleaved_as_far_as_both_are_known() -> None:
    stereo = Stereo()
    stereo.add(b"\x01\x01\x02\x02", b"\x0a\x0a")
    assert stereo.pending == 2
    assert stereo.take() == b"\x01\x01\x0a\x0a"
    stereo.add(b"", b"\x0b\x0b")
    assert stereo.take() == b"\x02\x02\x0b\x0b"


def test_the_agents_track_keeps_to_the_time_whatever_is_played() -> None:
    track = AgentTrack()
    track.play(1.0, noise(48_000))
    track.advance(1.5)
    assert track.position == 1.5 * RATE
    track.stop(1.25)  # a time that is past changes nothing
    assert track.position == 1.5 * RATE
    track.finish()
    assert track.position == 1.5 * RATE + round(0.015 * RATE)  # the fade


@given(
    st.lists(
        st.tuples(
            st.floats(0.0, 0.2),
            st.sampled_from(["play", "play", "play", "stop", "advance"]),
            st.integers(0, 3000),
        ),
        max_size=40,
    )
)
def test_the_agents_track_is_its_buffer_read_at_every_moment(
    steps: list[tuple[float, str, int]],
) -> None:
    """The track gathers chunks before it writes them, and the result is the same."""
    track, buffer, played, at = AgentTrack(), PlaybackBuffer(), b"", 0.0
    for number, (pause, step, size) in enumerate(steps):
        at += pause
        due = round(at * RATE)
        played += buffer.read(2 * due - len(played))
        pcm = noise(size, number)
        match step:
            case "play":
                track.play(at, pcm)
                buffer.write(pcm)
            case "stop":
                track.stop(at)
                buffer.clear()
            case _:
                track.advance(at)
    track.finish()
    played += buffer.read(2 * round(buffer.pending_ms * RATE / 1000))

    assert track.take() == played
