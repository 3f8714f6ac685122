"""Whatever a device takes, audio goes through it both ways."""

import asyncio

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

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

RATES = st.sampled_from(
    (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000)
)
CHANNELS = st.sampled_from((1, 2, 4, 8, 32))
HEARD, PLAYED = 7_000, 5_000


@st.composite
def libraries(draw: st.DrawFn) -> FakePortAudio:
    """A microphone and a speaker, each strict in its own way."""
    rates = [draw(RATES), draw(RATES)]
    channels = [draw(CHANNELS), draw(CHANNELS)]
    strict = [index for index in (0, 1) if draw(st.booleans())]
    apart = FakePortAudioError("Illegal combination of I/O devices", -9993)
    return FakePortAudio(
        device("Mic", inputs=channels[0], rate=rates[0]),
        device("Out", outputs=channels[1], rate=rates[1]),
        hosts=(draw(st.sampled_from(("Core Audio", "ALSA", "Windows WASAPI"))),),
        refuse={"duplex": apart} if draw(st.booleans()) else None,
        channels={index: channels[index] for index in strict},
        rates={index: (rates[index],) for index in strict},
        floats=[index for index in (0, 1) if draw(st.booleans())],
    )


def exchange(stream: FakeStream) -> bytes:
    """Record a steady level on all channels for one block; return what is played."""
    kind, frames = stream.kind, stream.settings["blocksize"]
    channels, dtype = stream.settings["channels"], stream.settings["dtype"]
    first = (channels[0], dtype[0]) if kind == "duplex" else (channels, dtype)
    if kind == "output":
        return stream.exchange(b"", frames)
    level = np.full(frames * first[0], HEARD, "<i2")
    if first[1] == "float32":
        return stream.exchange((level / 32_768).astype("<f4").tobytes(), frames)
    return stream.exchange(level.tobytes(), frames)


def samples(played: bytes, stream: FakeStream) -> np.ndarray:
    """Return what a speaker played, by channel, at the level of int16."""
    channels, dtype = stream.settings["channels"], stream.settings["dtype"]
    if stream.kind == "duplex":
        channels, dtype = channels[1], dtype[1]
    if dtype == "float32":
        return (np.frombuffer(played, "<f4") * 32_768).reshape(-1, channels)
    return np.frombuffer(played, "<i2").astype(float).reshape(-1, channels)


async def nothing_found() -> set[Direction]:
    return set()


async def hold(library: FakePortAudio) -> None:
    ground = SoundCardDependencies(SteppedClock(), InlineWorker(), search=nothing_found)
    heard: list[bytes] = []
    async with SoundCard(library=library, dependencies=ground) as card:

        async def listen() -> None:
            async for frame in card.microphone.frames():
                heard.append(frame)

        listening = asyncio.create_task(listen())
        card.speaker.play(np.full(12_000, PLAYED, "<i2").tobytes())
        speaking = library.streams[-1]
        played = []
        for _ in range(30):
            for stream in library.streams:
                block = exchange(stream)
                if stream is speaking:
                    played.append(block)
            await settle()
    await listening
    late = np.frombuffer(heard[-1], "<i2").astype(float)
    assert np.abs(np.median(late) - HEARD) < 10
    middle = np.median(samples(b"".join(played[18:24]), speaking), axis=0)
    assert (np.abs(middle - PLAYED) < 10).all()


@settings(max_examples=30, deadline=None)
@given(libraries())
def test_audio_goes_both_ways_through_any_pair_of_devices(
    library: FakePortAudio,
) -> None:
    asyncio.run(hold(library))
