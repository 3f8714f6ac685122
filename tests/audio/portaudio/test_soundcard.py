import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from runner.audio.devices import Microphone, Speaker
from runner.audio.playback import CUSHION_MS
from runner.audio.portaudio.soundcard import SoundCard
from runner.errors import AudioUnavailable, DeviceNotFound
from tests.audio.fakes import (
    LAPTOP,
    FakePortAudio,
    FakePortAudioError,
    FakeStream,
    device,
)

BLOCK = bytes(960)  # 10 ms at 48 kHz, mono
CARD = (device("Mic", inputs=1), device("Out", outputs=2))


async def first_frame(microphone: Microphone) -> bytes:
    return await anext(aiter(microphone.frames()))


async def test_the_card_opens_starts_and_closes_one_stream() -> None:
    library = FakePortAudio(*LAPTOP)
    card = SoundCard(library=library)
    async with card:
        (stream,) = library.streams
        assert (stream.kind, stream.is_running, card.is_open) == ("duplex", True, True)
    assert (stream.is_closed, card.is_open) == (True, False)


async def test_halves_share_the_stream_however_they_are_entered() -> None:
    library = FakePortAudio(*LAPTOP)
    card = SoundCard(library=library)
    microphone: Microphone = card.microphone
    speaker: Speaker = card.speaker
    async with microphone:
        async with speaker:
            (stream,) = library.streams
        assert stream.is_running
    assert stream.is_closed


@pytest.mark.parametrize(
    ("sides", "kind"),
    [({"input": False}, "output"), ({"output": False}, "input")],
)
async def test_only_what_is_wanted_is_opened(sides: dict[str, Any], kind: str) -> None:
    library = FakePortAudio(*CARD)
    async with SoundCard(library=library, **sides):
        assert [stream.kind for stream in library.streams] == [kind]


async def test_audio_goes_both_ways_through_portaudios_thread() -> None:
    library = FakePortAudio(*CARD, channels={1: 2})
    async with SoundCard(library=library) as card:
        (stream,) = library.streams
        card.speaker.play(np.full(24_000, 5_000, "<i2").tobytes())
        listening = asyncio.create_task(first_frame(card.microphone))
        played: list[bytes] = []

        def device_thread() -> None:
            for _ in range(20):
                recorded = np.full(480, 7_000, "<i2").tobytes()
                played.append(stream.exchange(recorded, 480))

        thread = threading.Thread(target=device_thread)
        thread.start()
        heard = np.frombuffer(await listening, "<i2")
        thread.join()
    assert np.median(heard) == pytest.approx(7_000, abs=1)
    output = np.frombuffer(b"".join(played), "<i2").reshape(-1, 2)
    lead = round(CUSHION_MS * 48)
    assert not output[: lead - 480].any()
    assert (np.abs(output[lead + 960 :] - 5_000) < 10).all()


async def test_drained_is_reported_by_the_devices_thread() -> None:
    library = FakePortAudio(*CARD)
    async with SoundCard(library=library, input=False) as card:
        (stream,) = library.streams
        card.speaker.play(bytes(4_800))
        waiting = asyncio.create_task(card.speaker.drained())
        await asyncio.sleep(0)
        thread = threading.Thread(
            target=lambda: [stream.exchange(b"", 480) for _ in range(40)]
        )
        thread.start()
        await waiting
        thread.join()
        assert card.speaker.pending_ms == 0


async def test_lost_and_missing_audio_is_counted() -> None:
    library = FakePortAudio(*CARD, hosts=("ALSA",))
    async with SoundCard(library=library) as card:
        recording, playing = library.streams
        recording.exchange(BLOCK, 480, "input overflow")
        recording.exchange(BLOCK, 480)
        playing.exchange(b"", 480, "output underflow")
        assert card.glitches == 2


async def test_frames_end_with_the_card() -> None:
    card = SoundCard(library=FakePortAudio(*CARD))

    async def listen() -> list[bytes]:
        return [frame async for frame in card.microphone.frames()]

    async with card:
        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
    assert await listening == []


async def test_a_card_can_be_opened_again() -> None:
    library = FakePortAudio(*CARD)
    card = SoundCard(library=library)
    async with card:
        library.streams[0].lose()
        await asyncio.sleep(0)
    async with card:
        assert card.is_open
        assert library.streams[-1].is_running


@pytest.mark.parametrize("hosts", [("Core Audio",), ("ALSA",)])
async def test_the_outputs_latency_is_known_with_one_stream_or_two(
    hosts: tuple[str, ...],
) -> None:
    class Slow(FakePortAudio):
        def _make(self, kind: str, settings: dict[str, Any]) -> FakeStream:
            stream = super()._make(kind, settings)
            latencies = {"duplex": (0.25, 0.5), "input": 0.25, "output": 0.5}
            stream.latency = latencies[kind]
            return stream

    async with SoundCard(library=Slow(*CARD, hosts=hosts)) as card:
        assert card.speaker.latency == 0.5


async def test_reopening_at_once_is_not_taken_for_a_loss() -> None:
    card = SoundCard(library=FakePortAudio(*CARD))
    async with card:
        pass
    async with card:
        await asyncio.sleep(0)
        assert card.is_open


async def test_a_refusal_to_start_closes_what_was_opened() -> None:
    class Stubborn(FakePortAudio):
        def _make(self, kind: str, settings: dict[str, Any]) -> FakeStream:
            stream = super()._make(kind, settings)
            stream.start = self.refuse_to_start  # type: ignore[method-assign]  # a fault
            return stream

        def refuse_to_start(self) -> None:
            raise FakePortAudioError("Unanticipated host error", -9999)

    library = Stubborn(*CARD)
    card = SoundCard(library=library)
    with pytest.raises(AudioUnavailable, match="'Mic' and the speaker 'Out'"):
        await card.__aenter__()
    assert library.streams[0].is_closed
    assert not card.is_open


async def test_a_wrong_name_opens_nothing() -> None:
    library = FakePortAudio(*CARD)
    with pytest.raises(DeviceNotFound):
        async with SoundCard(library=library, input_device="webcam"):
            pytest.fail("opened")
    assert library.streams == []


async def test_a_block_after_the_loop_is_closed_is_ignored() -> None:
    library = FakePortAudio(*CARD)
    card = SoundCard(library=library)

    def abandon() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(card.__aenter__())
        loop.close()

    thread = threading.Thread(target=abandon)
    thread.start()
    thread.join()
    assert library.streams[0].exchange(BLOCK, 480) == bytes(960)
