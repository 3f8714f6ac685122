import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.audio.devices import FRAME_BYTES, Microphone
from runner.audio.virtual import InjectedMicrophone, MixedMicrophone
from runner.errors import AudioError
from tests.audio.fakes import JumpingClock, SteppedClock, settle
from tests.fakes import FakeMicrophone


class Call:
    """Collects what a microphone gives."""

    def __init__(self, microphone: Microphone) -> None:
        self.microphone = microphone
        self.frames: list[bytes] = []

    async def run(self) -> None:
        async for frame in self.microphone.frames():
            self.frames.append(frame)


async def test_there_is_silence_before_and_after_speech() -> None:
    clock = SteppedClock()
    microphone = InjectedMicrophone(clock=clock)
    call = Call(microphone)
    async with microphone:
        running = asyncio.create_task(call.run())
        await clock.advance(0.1)
        said = asyncio.create_task(microphone.say(b"\x01" * FRAME_BYTES))
        await clock.advance(0.1)
        assert said.done()
        microphone.close_input()
        await clock.advance(0.1)
        assert running.done()
    quiet = bytes(FRAME_BYTES)
    assert call.frames == [quiet, quiet, b"\x01" * FRAME_BYTES, quiet, quiet]


async def test_say_reports_the_time_of_the_last_sample() -> None:
    clock = JumpingClock()
    microphone = InjectedMicrophone(clock=clock)
    start = clock.now()
    async with microphone:
        running = asyncio.create_task(Call(microphone).run())
        # 130 ms of speech: frames at 50, 100 and 150 ms, the last one 20 ms short.
        ended = await microphone.say(b"\x01" * (130 * 48))
        assert round(ended - start, 6) == 0.130
        microphone.close_input()
        await running


async def test_lines_follow_one_another_each_in_frames_of_its_own() -> None:
    microphone = InjectedMicrophone(clock=JumpingClock())
    call = Call(microphone)
    async with microphone:
        lines = [
            asyncio.create_task(microphone.say(bytes([mark]) * (FRAME_BYTES + 100)))
            for mark in (1, 2, 3)
        ]
        await settle()
        microphone.close_input()
        await call.run()
        await asyncio.gather(*lines)
    expected = b"".join(
        (bytes([mark]) * (FRAME_BYTES + 100)).ljust(2 * FRAME_BYTES, b"\0")
        for mark in (1, 2, 3)
    )
    assert b"".join(call.frames) == expected


@given(st.lists(st.integers(0, 9_000), max_size=6))
@settings(deadline=None)  # machines stall
def test_no_line_is_lost_or_overlapped(lengths: list[int]) -> None:
    async def hold() -> list[bytes]:
        microphone = InjectedMicrophone(clock=JumpingClock())
        call = Call(microphone)
        async with microphone:
            lines = [
                asyncio.create_task(microphone.say(bytes([mark]) * length))
                for mark, length in enumerate(lengths, 1)
            ]
            await settle()
            microphone.close_input()
            await call.run()
            await asyncio.gather(*lines)
        return call.frames

    frames = asyncio.run(hold())
    heard = b"".join(frames).replace(b"\0", b"")
    expected = b"".join(bytes([mark]) * n for mark, n in enumerate(lengths, 1))
    assert heard == expected
    assert all(len(set(frame) - {0}) <= 1 for frame in frames)


async def test_a_closed_input_takes_no_more_lines() -> None:
    microphone = InjectedMicrophone(clock=JumpingClock())
    async with microphone:
        microphone.close_input()
        with pytest.raises(AudioError, match="input of the microphone is closed"):
            await microphone.say(b"\x01\x01")


async def test_a_line_that_the_end_of_the_call_cuts_off_is_reported() -> None:
    clock = SteppedClock()
    microphone = InjectedMicrophone(clock=clock)
    async with microphone:
        running = asyncio.create_task(Call(microphone).run())
        said = asyncio.create_task(microphone.say(b"\x01" * 48_000))
        await clock.advance(0.2)
    with pytest.raises(AudioError, match="ended before the line was spoken"):
        await said
    await clock.advance(0.1)
    assert running.done()


async def test_a_cancelled_line_breaks_off_and_the_next_one_follows() -> None:
    clock = SteppedClock()
    microphone = InjectedMicrophone(clock=clock)
    call = Call(microphone)
    async with microphone:
        running = asyncio.create_task(call.run())
        first = asyncio.create_task(microphone.say(b"\x01" * 48_000))
        second = asyncio.create_task(microphone.say(b"\x02" * FRAME_BYTES))
        await clock.advance(0.1)
        first.cancel()
        await clock.advance(0.1)
        assert second.done()
        microphone.close_input()
        await clock.advance(0.1)
        assert running.done()
    assert [frame[0] for frame in call.frames] == [1, 1, 2, 0, 0]


async def test_a_typed_line_takes_the_place_of_what_is_recorded() -> None:
    recorded = FakeMicrophone()
    microphone = MixedMicrophone(recorded, clock=SteppedClock())
    call = Call(microphone)
    room, voice = b"\x01" * FRAME_BYTES, b"\x02" * FRAME_BYTES
    async with microphone:
        said = asyncio.create_task(microphone.say(voice + voice[:100]))
        await settle()
        for _ in range(3):
            recorded.put(room)
        recorded.put(None)
        await call.run()
        await said

    tail = voice[:100] + bytes(FRAME_BYTES - 100)
    assert call.frames == [voice, tail, room]


async def test_a_typed_line_that_the_end_of_the_call_cuts_off_is_reported() -> None:
    microphone = MixedMicrophone(FakeMicrophone())
    async with microphone:
        said = asyncio.create_task(microphone.say(b"\x02" * FRAME_BYTES))
        await settle()

    with pytest.raises(AudioError):
        await said
