"""A card whose devices come and go, on a clock that the test advances."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from runner.audio.devices import CARD_FRAME_MS
from runner.audio.pcm import to_samples
from runner.audio.portaudio.library import Direction
from runner.audio.portaudio.soundcard import SoundCard, SoundCardDependencies
from tests.audio.fakes import (
    FakePortAudio,
    FakePortAudioError,
    FakeStream,
    InlineWorker,
    SteppedClock,
    device,
    settle,
)

HEADSET = device("Headset", inputs=1, outputs=2, rate=16_000.0)
BUILT_IN = device("Built-in", inputs=1, outputs=2)
MICROPHONE = device("Mic", inputs=1)
OUTPUT = device("Out", outputs=2)


class Bench:
    """A card, its devices, its clock, and who listens to it."""

    def __init__(
        self,
        *devices: dict[str, Any],
        hosts: tuple[str, ...] = ("Core Audio",),
        **wishes: Any,
    ) -> None:
        self.library = FakePortAudio(*devices, hosts=hosts)
        self.clock = SteppedClock()
        self.worker = InlineWorker()
        self.notices: list[str] = []
        self.heard: list[bytes] = []
        self.sides_elsewhere: set[Direction] = set()
        self.searches = 0
        self.is_still = False  # whether the streams stand still
        self.card = SoundCard(
            library=self.library,
            dependencies=SoundCardDependencies(self.clock, self.worker, self._search),
            notice=self.notices.append,
            **wishes,
        )

    async def _search(self) -> set[Direction]:
        self.searches += 1
        return self.sides_elsewhere

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Bench"]:
        async with self.card:
            listening = asyncio.create_task(self._listen())
            await self.run(0.2)
            yield self
        await listening

    async def _listen(self) -> None:
        async for frame in self.card.microphone.frames():
            self.heard.append(frame)

    @property
    def open_streams(self) -> list[FakeStream]:
        return [stream for stream in self.library.streams if stream.is_running]

    async def run(self, seconds: float, sound: int = 1_000) -> bytes:
        """Let time go by in which the streams run; return what was played."""
        played = []
        for _ in range(round(seconds * 100)):
            await self.clock.advance(0.01)
            if not self.is_still:
                played += [exchange(stream, sound) for stream in self.open_streams]
            await settle()
        return b"".join(played)

    @property
    def heard_ms(self) -> int:
        return len(self.heard) * CARD_FRAME_MS


def exchange(stream: FakeStream, sound: int) -> bytes:
    frames = stream.settings["blocksize"]
    channels = stream.settings["channels"]
    inputs = {"duplex": lambda: channels[0], "input": lambda: channels}.get(
        stream.kind, lambda: 0
    )()
    # No constant: that would be silence.
    block = np.full(frames * inputs, sound, "<i2")
    block[::2] -= 1
    return stream.exchange(block.tobytes(), frames)


async def test_an_unplugged_device_is_followed_by_the_default() -> None:
    async with Bench(HEADSET, BUILT_IN, input_device="head").running() as bench:
        bench.library.plug(BUILT_IN)
        bench.open_streams[0].lose()
        await bench.run(0.5)
        (stream,) = bench.open_streams
        assert stream.settings["samplerate"] == 48_000
        assert bench.notices == [
            "the microphone 'Headset' was lost: using 'Built-in'; "
            "the speaker 'Headset' was lost: using 'Built-in'"
        ]
        bench.heard.clear()
        await bench.run(1.0, sound=7_000)
        assert bench.heard_ms == pytest.approx(1_000, abs=50)
        assert np.median(np.frombuffer(bench.heard[-1], "<i2")) == pytest.approx(
            7_000, abs=3
        )


async def test_a_device_that_only_stopped_is_reopened_under_its_new_number() -> None:
    bench = Bench(MICROPHONE, OUTPUT, HEADSET, input_device=2, output_device=2)
    async with bench.running():
        bench.library.plug(BUILT_IN, MICROPHONE, OUTPUT, HEADSET)
        bench.open_streams[0].lose()
        await bench.run(0.5)
        assert bench.open_streams[0].settings["device"] == (3, 3)
        assert bench.notices == ["the sound card stopped and was reopened"]


async def test_streams_that_call_back_no_more_are_opened_again_within_2_s() -> None:
    async with Bench(BUILT_IN).running() as bench:
        (before,) = bench.open_streams
        bench.is_still = True
        await bench.run(0.9)
        assert bench.open_streams == [before]
        await bench.run(0.3)
        bench.is_still = False
        await bench.run(0.3)
        (after,) = bench.open_streams
        assert after is not before
        assert before.is_closed
        assert bench.notices == ["the sound card stopped and was reopened"]


async def test_without_any_device_the_caller_is_silent_and_the_call_lives_on() -> None:
    async with Bench(BUILT_IN).running() as bench:
        bench.library.plug()
        bench.open_streams[0].lose()
        await bench.run(0.5)
        bench.heard.clear()
        await bench.run(10.0)
        assert bench.heard_ms == pytest.approx(10_000, rel=0.01)
        assert not to_samples(b"".join(bench.heard)).any()
        assert bench.notices == [
            "the microphone 'Built-in' stopped: silence is sent until a microphone is "
            "available; the speaker 'Built-in' stopped: the agent is inaudible until "
            "a speaker is available"
        ]


async def test_without_any_device_what_is_played_goes_by_the_clock() -> None:
    async with Bench(BUILT_IN).running() as bench:
        bench.library.plug()
        bench.open_streams[0].lose()
        await bench.run(2.0)
        bench.card.speaker.play(bytes(48_000))
        draining = asyncio.create_task(bench.card.speaker.drained())
        await bench.run(0.9)
        assert not draining.done()
        await bench.run(0.4)
        assert draining.done()


async def test_a_device_that_comes_back_is_opened_within_2_s() -> None:
    async with Bench(BUILT_IN).running() as bench:
        bench.library.plug()
        bench.open_streams[0].lose()
        await bench.run(5.0)
        bench.notices.clear()
        bench.library.plug(HEADSET)
        await bench.run(1.5)
        assert bench.open_streams
        assert bench.notices == [
            "using the microphone 'Headset'; using the speaker 'Headset'"
        ]


async def test_what_was_yet_to_be_played_is_played_on_the_next_device() -> None:
    async with Bench(HEADSET, BUILT_IN, output_device="head").running() as bench:
        times = np.arange(24_000) / 24_000
        tone = np.rint(8_000 * np.sin(2 * np.pi * 400 * times)).astype("<i2")
        bench.card.speaker.play(tone.tobytes())
        await bench.run(0.3)
        bench.library.plug(BUILT_IN)
        pending = bench.card.speaker.pending_ms
        bench.open_streams[0].lose()
        played = np.frombuffer(await bench.run(1.5), "<i2")
        sounding_ms = np.count_nonzero(np.abs(played) > 100) / 48
        assert sounding_ms == pytest.approx(pending, rel=0.05)
        counts = bench.card.speaker.counts
        assert counts.rate == 48_000
        assert counts.played_frames == pytest.approx(48_000, rel=0.01)


async def test_a_pending_answer_is_not_played_seconds_late() -> None:
    async with Bench(BUILT_IN).running() as bench:
        bench.card.speaker.play(bytes(48_000))
        bench.library.plug()
        bench.open_streams[0].lose()
        await bench.run(3.0)
        assert bench.card.speaker.pending_ms == 0


async def test_a_side_that_is_missing_is_sought_without_cutting_the_other() -> None:
    async with Bench(MICROPHONE, OUTPUT, hosts=("ALSA",)).running() as bench:
        bench.library.plug(OUTPUT)
        bench.open_streams[0].lose()
        await bench.run(1.0)
        (speaker,) = bench.open_streams
        assert bench.notices == [
            "the microphone 'Mic' stopped: silence is sent until a microphone is "
            "available"
        ]
        await bench.run(10.0)
        assert bench.open_streams == [speaker]
        assert bench.searches >= 3
        bench.library.plug(OUTPUT, MICROPHONE)
        bench.sides_elsewhere = {"input", "output"}
        await bench.run(5.0)
        assert [stream.kind for stream in bench.open_streams] == ["input", "output"]
        assert bench.notices[1:] == ["using the microphone 'Mic'"]


async def test_a_hanging_sound_server_does_not_stop_the_clock() -> None:
    async with Bench(BUILT_IN).running() as bench:
        bench.worker.held = asyncio.get_running_loop().create_future()
        bench.open_streams[0].lose()
        await bench.run(0.5)
        bench.heard.clear()
        await bench.run(10.0)
        assert bench.heard_ms == pytest.approx(10_000, rel=0.01)
        assert len(bench.notices) == 1
        bench.worker.held.set_result(None)
        bench.worker.held = None
        await bench.run(0.5)
        assert bench.open_streams
        assert bench.notices[1].startswith("using the microphone 'Built-in'")


async def test_a_device_that_is_refused_is_followed_by_the_default() -> None:
    bench = Bench(MICROPHONE, OUTPUT, HEADSET, hosts=("ALSA",), input_device="head")
    async with bench.running():
        refused = FakePortAudioError("Device unavailable", -9985)
        make = bench.library._make

        def refuse_headset(kind: str, settings: dict[str, Any]) -> FakeStream:
            if settings["device"] == 2:
                raise refused
            return make(kind, settings)

        bench.library._make = refuse_headset  # type: ignore[method-assign]  # a fault
        bench.open_streams[0].lose()
        await bench.run(0.5)
        assert {s.settings["device"] for s in bench.open_streams} == {0, 1}
        assert bench.notices == ["the microphone 'Headset' was lost: using 'Mic'"]


async def test_a_microphone_that_gives_nothing_is_called_out_once() -> None:
    bench = Bench(BUILT_IN)
    async with bench.card:
        for _ in range(1_200):
            await bench.clock.advance(0.01)
            bench.open_streams[0].exchange(bytes(960), 480)
        (notice,) = bench.notices
        assert "'Built-in' has delivered only silence for 5 s" in notice


async def test_leaving_while_a_device_is_sought_closes_everything() -> None:
    bench = Bench(BUILT_IN)
    async with bench.running():
        bench.library.plug()
        bench.open_streams[0].lose()
        await bench.run(5.0)
    assert not bench.card.is_open
    assert all(stream.is_closed for stream in bench.library.streams)
