import asyncio

import numpy as np
import pytest

from runner.audio.playback import CUSHION_MS, FADE_MS
from runner.audio.virtual import ClockedSpeaker
from runner.errors import AudioFileError
from tests.audio.fakes import JumpingClock, SteppedClock, settle

SECOND = np.full(24_000, 9_000, "<i2").tobytes()


class Tape:
    """A recording in memory; full after so many bytes."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.pcm = b""
        self.room = room
        self.is_open = False

    def open(self) -> None:
        self.is_open = True

    def write(self, pcm: bytes) -> None:
        if len(self.pcm) + len(pcm) > self.room:
            raise AudioFileError("cannot continue writing 'tape': no space left")
        self.pcm += pcm

    def close(self) -> None:
        self.is_open = False


async def test_playing_takes_as_long_as_the_audio() -> None:
    clock = SteppedClock()
    async with ClockedSpeaker(clock=clock) as speaker:
        speaker.play(SECOND)
        assert speaker.pending_ms == 1_000 + CUSHION_MS
        await clock.advance(0.5)
        assert speaker.pending_ms == pytest.approx(500 + CUSHION_MS, abs=0.1)
        await clock.advance(0.6)
        assert speaker.pending_ms == 0
        assert speaker.counts.played_frames == 24_000


async def test_drained_returns_at_the_end_of_the_audio() -> None:
    clock = SteppedClock()
    async with ClockedSpeaker(clock=clock) as speaker:
        speaker.play(SECOND)
        waiting = asyncio.create_task(speaker.drained())
        await clock.advance(1.0)
        assert not waiting.done()
        await clock.advance(CUSHION_MS / 1000 + 0.001)
        assert waiting.done()


async def test_drained_returns_at_once_when_nothing_plays() -> None:
    async with ClockedSpeaker(clock=SteppedClock()) as speaker:
        await speaker.drained()


async def test_drained_waits_for_what_is_added_meanwhile() -> None:
    clock = SteppedClock()
    async with ClockedSpeaker(clock=clock) as speaker:
        speaker.play(SECOND)
        waiting = asyncio.create_task(speaker.drained())
        await clock.advance(0.9)
        speaker.play(SECOND)
        await clock.advance(1.0)
        assert not waiting.done()
        await clock.advance(0.2)
        assert waiting.done()


async def test_stop_leaves_only_the_fade_and_frees_who_waits() -> None:
    clock = SteppedClock()
    tape = Tape()
    async with ClockedSpeaker(tape, clock=clock) as speaker:
        speaker.play(SECOND)
        waiting = asyncio.create_task(speaker.drained())
        await clock.advance(0.3)
        speaker.stop()
        assert speaker.pending_ms == FADE_MS
        await clock.advance(0.1)
        assert waiting.done()
    heard = np.flatnonzero(np.frombuffer(tape.pcm, "<i2"))
    assert heard[-1] - heard[0] <= (300 - CUSHION_MS + FADE_MS) * 24
    steps = np.abs(np.diff(np.frombuffer(tape.pcm, "<i2")[heard[0] :].astype(int)))
    assert steps.max() < 100


async def test_stop_counts_as_played_what_was_due_by_then() -> None:
    clock = SteppedClock()
    async with ClockedSpeaker(clock=clock) as speaker:
        speaker.play(SECOND)
        clock.time += 0.3  # and its state was not read meanwhile
        speaker.stop()
        assert speaker.counts.played_frames == round((300 - CUSHION_MS) * 24)
        assert speaker.pending_ms == FADE_MS


async def test_the_recording_is_as_long_as_the_speaker_was_open() -> None:
    clock = SteppedClock()
    tape = Tape()
    async with ClockedSpeaker(tape, clock=clock) as speaker:
        await clock.advance(1.0)
        speaker.play(SECOND)
        await clock.advance(3.01)
    assert len(tape.pcm) == 2 * round(4.01 * 24_000)
    lead = round((1_000 + CUSHION_MS) * 24)
    sound = np.frombuffer(tape.pcm, "<i2")
    assert np.flatnonzero(sound)[[0, -1]].tolist() == [lead, lead + 23_999]
    assert not tape.is_open


async def test_a_stall_of_the_program_costs_the_recording_nothing() -> None:
    clock = SteppedClock()
    tape = Tape()
    async with ClockedSpeaker(tape, clock=clock) as speaker:
        speaker.play(SECOND)
        clock.time += 5.0  # no task was woken meanwhile
        speaker.play(SECOND)
        await clock.advance(2.0)
    assert len(tape.pcm) == 7 * 48_000
    assert speaker.counts.underruns == 0


async def test_the_recording_is_written_in_silence_as_well() -> None:
    clock = SteppedClock()
    tape = Tape()
    async with ClockedSpeaker(tape, clock=clock):
        await clock.advance(0.5)
        assert len(tape.pcm) == 24_000


async def test_playback_starts_at_the_given_time() -> None:
    clock = SteppedClock()
    tape = Tape()
    times: list[float | None] = [None]
    async with ClockedSpeaker(
        tape, begins_at=lambda: times[-1], clock=clock
    ) as speaker:
        await clock.advance(2.0)
        assert speaker.started_at is None
        times.append(clock.now())
        await clock.advance(1.0)
        assert speaker.started_at == times[-1]
    assert len(tape.pcm) == 48_000


async def test_what_is_played_before_the_beginning_begins_at_once() -> None:
    clock = SteppedClock()
    async with ClockedSpeaker(begins_at=lambda: None, clock=clock) as speaker:
        await clock.advance(2.0)
        speaker.play(SECOND)
        await clock.advance(1.1)
        assert speaker.pending_ms == 0


async def test_a_full_disk_does_not_end_the_call_but_is_reported_after_it() -> None:
    clock = SteppedClock()
    tape = Tape(room=48_000)
    with pytest.raises(AudioFileError, match="no space left"):
        async with ClockedSpeaker(tape, clock=clock) as speaker:
            speaker.play(SECOND)
            await clock.advance(3.0)
            assert speaker.pending_ms == 0
    assert len(tape.pcm) == 48_000
    assert not tape.is_open


async def test_a_full_disk_does_not_hide_a_worse_error() -> None:
    clock = SteppedClock()
    with pytest.raises(ZeroDivisionError):
        async with ClockedSpeaker(Tape(room=0), clock=clock):
            await clock.advance(1.0)
            raise ZeroDivisionError


async def test_leaving_stops_its_task() -> None:
    async with ClockedSpeaker(Tape(), clock=JumpingClock()):
        await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}
