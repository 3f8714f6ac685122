from runner.audio.devices import FRAME_BYTES, Microphone, Speaker
from runner.audio.virtual import NullSpeaker, SilentMicrophone
from tests.audio.fakes import JumpingClock, SteppedClock


async def test_silence_comes_at_real_time_pace() -> None:
    clock = JumpingClock()
    microphone: Microphone = SilentMicrophone(clock=clock)
    start = clock.now()
    frames = []
    async with microphone:
        async for frame in microphone.frames():
            frames.append(frame)
            if len(frames) == 20:
                break
    assert frames == [bytes(FRAME_BYTES)] * 20
    assert round(clock.now() - start, 6) == 1.0
    assert microphone.dropped_ms == 0


async def test_the_null_speaker_is_silent_and_takes_the_time_of_the_audio() -> None:
    clock = SteppedClock()
    speaker: Speaker = NullSpeaker(clock=clock)
    async with speaker:
        speaker.play(bytes(48_000))
        before = speaker.pending_ms
        await clock.advance(0.4)
        assert before - speaker.pending_ms == 400
