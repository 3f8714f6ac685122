import asyncio
import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from runner.audio.devices import FRAME_BYTES, Microphone, Speaker
from runner.audio.files import FileMicrophone, FileSpeaker
from runner.audio.playback import CUSHION_MS
from runner.errors import AudioFileError, FileUnreadable
from tests.audio.fakes import JumpingClock, SteppedClock

NOISE = np.random.default_rng(7).integers(-9_000, 9_000, 24_000 + 600, "<i2")


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """One second and 25 ms of noise, in the format of the wire."""
    path = tmp_path / "caller.wav"
    soundfile.write(path, NOISE, 24_000, subtype="PCM_16")
    return path


async def listen(microphone: Microphone) -> list[bytes]:
    async with microphone:
        return [frame async for frame in microphone.frames()]


async def test_the_file_comes_in_frames_then_the_tail(wav: Path) -> None:
    frames = await listen(FileMicrophone(wav, tail_seconds=0.12, clock=JumpingClock()))
    assert {len(frame) for frame in frames} == {FRAME_BYTES}
    assert len(frames) == 21 + 3
    assert b"".join(frames).rstrip(b"\0") == NOISE.tobytes().rstrip(b"\0")


async def test_frames_come_at_real_time_pace(wav: Path) -> None:
    clock = JumpingClock()
    start = clock.now()
    microphone = FileMicrophone(wav, tail_seconds=0, clock=clock)
    await listen(microphone)
    assert round(clock.now() - start, 6) == 21 * 0.05
    assert microphone.started_at == start


async def test_finished_is_set_when_the_file_is_over_not_the_silence(
    wav: Path,
) -> None:
    async with FileMicrophone(wav, clock=JumpingClock()) as microphone:
        frames = microphone.frames()
        for _ in range(21):
            assert not microphone.finished.is_set()
            assert (await anext(frames)).strip(b"\0")
        for _ in range(1_000):  # for ever, as far as this test lives
            assert await anext(frames) == bytes(FRAME_BYTES)
        assert microphone.finished.is_set()


async def test_a_stalled_program_loses_nothing_of_the_file(wav: Path) -> None:
    clock = JumpingClock()
    heard = []
    async with FileMicrophone(wav, tail_seconds=0, clock=clock) as microphone:
        async for frame in microphone.frames():
            clock.time += 0.3
            heard.append(frame)
    assert b"".join(heard).startswith(NOISE.tobytes())
    assert microphone.dropped_ms == 0


async def test_a_broken_file_is_reported_before_the_call(tmp_path: Path) -> None:
    path = tmp_path / "broken.wav"
    path.write_bytes(b"no sound at all")
    with pytest.raises(AudioFileError):
        await listen(FileMicrophone(path))
    with pytest.raises(FileUnreadable):
        await listen(FileMicrophone(tmp_path))


async def test_the_output_is_as_long_as_the_call_and_holds_what_was_played(
    tmp_path: Path,
) -> None:
    clock = SteppedClock()
    path = tmp_path / "agent.wav"
    speaker: Speaker = FileSpeaker(path, clock=clock)
    async with speaker:
        await clock.advance(0.5)
        speaker.play(NOISE.tobytes())
        await clock.advance(2.0)
    sound, rate = soundfile.read(path, dtype="int16")
    begin = 12_000 + round(CUSHION_MS * 24)
    assert (rate, len(sound)) == (24_000, 60_000)
    assert np.array_equal(sound[begin : begin + len(NOISE)], NOISE)
    assert not sound[:begin].any()
    assert not sound[begin + len(NOISE) :].any()


async def test_input_and_output_can_be_laid_side_by_side(
    wav: Path, tmp_path: Path
) -> None:
    clock = SteppedClock()
    path = tmp_path / "agent.wav"
    microphone = FileMicrophone(wav, tail_seconds=1, clock=clock)
    speaker = FileSpeaker(path, begins_with=microphone, clock=clock)
    async with microphone, speaker:
        await clock.advance(2.0)  # connecting takes its time

        async def repeat() -> None:
            async for frame in microphone.frames():
                speaker.play(frame)

        call = asyncio.create_task(repeat())
        await clock.advance(2.2)
        assert call.done()
    sound, _ = soundfile.read(path, dtype="int16")
    # Heard back one frame and the cushion later than in the input.
    lag = 1_200 + round(CUSHION_MS * 24)
    assert np.array_equal(sound[lag : lag + len(NOISE)], NOISE)
    assert not sound[:lag].any()


async def test_an_output_that_cannot_be_written_is_reported_before_the_call(
    tmp_path: Path,
) -> None:
    with pytest.raises(AudioFileError, match="cannot write audio"):
        async with FileSpeaker(tmp_path / "no" / "agent.wav"):
            pytest.fail("the call began")


async def test_a_call_that_never_began_leaves_no_file(
    wav: Path, tmp_path: Path
) -> None:
    path = tmp_path / "agent.wav"
    microphone = FileMicrophone(wav)
    async with FileSpeaker(path, begins_with=microphone, clock=SteppedClock()):
        pass
    assert not path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes there")
@pytest.mark.parametrize("name", ["-", "pipe.wav", "/dev/fd/{0}"])
async def test_a_pipe_is_read_to_its_end(
    name: str, wav: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    # Opened for reading and writing, a pipe does not wait for its other end.
    handle = os.open(tmp_path / "pipe.wav", os.O_RDWR)

    def write() -> None:
        with open(tmp_path / "pipe.wav", "wb") as writer:
            os.close(handle)
            writer.write(wav.read_bytes())

    # It does not block, because the other end is open.
    with open(tmp_path / "pipe.wav", encoding="utf-8") as stdin:  # noqa: ASYNC230
        monkeypatch.setattr(sys, "stdin", stdin)
        path = Path(name.format(stdin.fileno()))
        path = tmp_path / path if name == "pipe.wav" else path
        microphone = FileMicrophone(path, tail_seconds=0, clock=JumpingClock())
        frames, _ = await asyncio.gather(listen(microphone), asyncio.to_thread(write))

    assert b"".join(frames).rstrip(b"\0") == NOISE.tobytes().rstrip(b"\0")


async def test_a_terminal_is_not_read_as_audio(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)

    with pytest.raises(FileUnreadable, match="it is a terminal"):
        await listen(FileMicrophone(Path("-")))
