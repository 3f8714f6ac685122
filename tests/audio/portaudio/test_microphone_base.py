"""The halves on a card that is open or not as the test says, with no stream at all."""

import asyncio
from typing import Self

import numpy as np
import pytest
from numpy.typing import NDArray

from runner.audio.devices import CARD_FRAME_BYTES, Speaker
from runner.audio.pcm import to_samples
from runner.audio.playback import FADE_MS
from runner.audio.portaudio.library import SoundDevice
from runner.audio.portaudio.microphone import CardMicrophone
from runner.audio.portaudio.speaker import CardSpeaker
from runner.errors import AudioUnavailable
from tests.audio.fakes import settle

NATIVE = 24_000


class OpenCard:
    """A card that is open until it is not."""

    def __init__(self) -> None:
        self.is_open = True
        self.is_lost = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None: ...

    def raise_if_lost(self) -> None:
        if self.is_lost:
            raise AudioUnavailable("the sound card stopped")


def microphone_at(rate: int, channels: int, card: OpenCard) -> CardMicrophone:
    microphone = CardMicrophone(card)
    microphone.attach(SoundDevice(0, "Mic", "input", "Core Audio", rate, channels))
    return microphone


def speaker_at(rate: int, channels: int = 1, latency: float = 0.0) -> CardSpeaker:
    speaker = CardSpeaker(OpenCard(), on_low=lambda: None)
    device = SoundDevice(0, "Out", "output", "Core Audio", rate, channels)
    speaker.attach(device, latency)
    return speaker


def tone(rate: int, seconds: float) -> np.ndarray:
    times = np.arange(round(rate * seconds)) / rate
    sine: NDArray[np.int16] = np.rint(9_000 * np.sin(2 * np.pi * 440 * times)).astype(
        "<i2"
    )
    return sine


async def hear(
    microphone: CardMicrophone, blocks: list[bytes], card: OpenCard
) -> bytes:
    """Feed the microphone block by block, as fast as it takes them."""
    heard: list[bytes] = []

    async def listen() -> None:
        async for frame in microphone.frames():
            heard.append(frame)

    listening = asyncio.create_task(listen())
    for block in blocks:
        if microphone.capture(block, 0.0):
            microphone.wake()
        await settle()
    card.is_open = False
    microphone.wake()
    await listening
    assert all(len(frame) == CARD_FRAME_BYTES for frame in heard)
    return b"".join(heard)


@pytest.mark.parametrize(
    ("rate", "channels"), [(NATIVE, 1), (48_000, 1), (44_100, 2), (8_000, 1)]
)
async def test_any_device_is_heard_as_24_khz_mono(rate: int, channels: int) -> None:
    card = OpenCard()
    recorded = np.repeat(tone(rate, 1.0), channels).reshape(-1, channels)
    blocks = [part.tobytes() for part in np.array_split(recorded, 100)]
    heard = to_samples(await hear(microphone_at(rate, channels, card), blocks, card))
    assert len(heard) >= 24_000 - 2_400  # all but the filter's delay and half a frame
    # The same tone, and nothing else; its phase may be off by a sample or two.
    phase = 2 * np.pi * 440 * np.arange(len(heard)) / 24_000
    basis = np.stack([np.sin(phase), np.cos(phase)], axis=1)[1_200:-1_200]
    middle = heard[1_200:-1_200]
    (sine, cosine), *_ = np.linalg.lstsq(basis, middle, rcond=None)
    assert np.hypot(sine, cosine) == pytest.approx(9_000 / 32_768, rel=0.01)
    assert abs(np.arctan2(cosine, sine)) < 2 * np.pi * 440 * 2 / 24_000
    assert np.abs(middle - basis @ (sine, cosine)).max() < 2e-3


async def test_audio_that_was_not_read_in_time_is_dropped_and_counted() -> None:
    card = OpenCard()
    microphone = microphone_at(NATIVE, 1, card)
    for number in range(50):
        microphone.capture(bytes([number]) * 480, 0.0)
    assert microphone.dropped_ms == 200
    heard = await hear(microphone, [bytes(480)], card)
    assert heard[0] == 21


async def test_a_lost_card_is_reported_to_who_listens() -> None:
    card = OpenCard()
    microphone = microphone_at(NATIVE, 1, card)
    card.is_lost = True
    with pytest.raises(AudioUnavailable, match="stopped"):
        await hear(microphone, [], card)


async def test_a_microphone_that_is_not_open_refuses() -> None:
    with pytest.raises(ValueError, match="not open"):
        await anext(CardMicrophone(OpenCard()).frames())


def rendered(speaker: CardSpeaker, milliseconds: int, rate: int) -> np.ndarray:
    """Let the device take this much in blocks of 10 ms; the loop runs in between."""
    blocks = []
    for _ in range(milliseconds // 10):
        low = speaker.pending_ms < 30
        blocks.append(speaker.render(2 * speaker.channels * rate // 100, 0.0))
        if not low and speaker.pending_ms < 30:
            speaker.wake()
    return np.frombuffer(b"".join(blocks), "<i2").astype(int)


@pytest.mark.parametrize("rate", [NATIVE, 44_100, 48_000, 16_000])
def test_a_reply_in_pieces_is_played_whole_with_no_gap(rate: int) -> None:
    speaker = speaker_at(rate)
    pcm = tone(24_000, 1.0).tobytes()
    for start in range(0, len(pcm), 480):
        speaker.play(pcm[start : start + 480])
    played = rendered(speaker, 1_200, rate)
    sounding = np.flatnonzero(np.abs(played) > 500)
    length = sounding[-1] - sounding[0]
    assert 0 <= length - rate + rate / 400 < rate / 100  # and a soft end of 5 ms
    # The same tone from end to end, at one phase: nothing is missing or repeated.
    middle = np.arange(sounding[0] + rate // 20, sounding[-1] - rate // 20)
    phase = 2 * np.pi * 440 * middle / rate
    basis = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    weights, *_ = np.linalg.lstsq(basis, played[middle], rcond=None)
    assert np.hypot(*weights) == pytest.approx(9_000, rel=0.01)
    assert np.abs(played[middle] - basis @ weights).max() < 60
    assert speaker.pending_ms == 0
    assert speaker.counts.underruns == 0


def test_every_channel_plays_the_same() -> None:
    speaker = speaker_at(NATIVE, channels=2)
    speaker.play(tone(24_000, 0.1).tobytes())
    left, right = rendered(speaker, 200, NATIVE).reshape(-1, 2).T
    assert left.any()
    assert np.array_equal(left, right)


@pytest.mark.parametrize("rate", [NATIVE, 44_100])
def test_stop_is_silent_after_the_fade_and_makes_no_step(rate: int) -> None:
    speaker = speaker_at(rate)
    speaker.play(tone(24_000, 1.0).tobytes())
    before = rendered(speaker, 200, rate)
    speaker.stop()
    assert speaker.pending_ms == pytest.approx(FADE_MS, abs=0.1)
    after = rendered(speaker, 500, rate)
    assert not after[round(rate * (FADE_MS + 1) / 1000) :].any()
    steepest = 9_000 * 2 * np.pi * 440 / rate + 9_000 / (FADE_MS * rate / 1000)
    cut = np.concatenate([before[-rate // 20 :], after])
    assert np.abs(np.diff(cut)).max() < steepest + 2


def test_nothing_of_a_stopped_reply_comes_back_with_the_next() -> None:
    speaker = speaker_at(48_000)
    speaker.play(tone(24_000, 1.0).tobytes())
    rendered(speaker, 100, 48_000)
    speaker.stop()
    rendered(speaker, 100, 48_000)
    speaker.play(bytes(4_800))
    assert not rendered(speaker, 300, 48_000).any()


async def test_drained_waits_until_the_device_has_it_all() -> None:
    speaker = speaker_at(44_100)
    speaker.play(tone(24_000, 0.2).tobytes())
    waiting = asyncio.create_task(speaker.drained())
    await settle()
    assert not waiting.done()
    rendered(speaker, 400, 44_100)
    speaker.wake()
    await waiting
    assert speaker.pending_ms == 0


async def test_audio_shorter_than_the_filters_delay_is_played_too() -> None:
    speaker = speaker_at(44_100)
    speaker.play(tone(24_000, 0.005).tobytes())
    before = speaker.pending_ms
    waiting = asyncio.create_task(speaker.drained())
    await settle()
    assert speaker.pending_ms == pytest.approx(before + 10, abs=0.1)
    assert rendered(speaker, 100, 44_100).any()
    speaker.wake()
    await waiting


async def test_drained_waits_for_what_the_device_itself_holds() -> None:
    speaker = speaker_at(NATIVE, latency=0.03)
    loop = asyncio.get_running_loop()
    speaker.play(tone(24_000, 0.01).tobytes())
    waiting = asyncio.create_task(speaker.drained())
    await settle()
    rendered(speaker, 100, NATIVE)
    handed_over = loop.time()
    speaker.wake()
    await waiting
    assert loop.time() - handed_over > 0.029  # at least: a clock's tick may be rounded


async def test_drained_returns_at_once_when_nothing_plays() -> None:
    await speaker_at(NATIVE).drained()


async def test_drained_does_not_wait_for_a_card_that_is_gone() -> None:
    card = OpenCard()
    speaker: Speaker = CardSpeaker(card, on_low=lambda: None)
    speaker.play(tone(24_000, 0.2).tobytes())
    card.is_open = False
    await speaker.drained()
