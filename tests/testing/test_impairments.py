"""A caller who is hard to hear: how loud the noise is, and how much is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest

from runner.audio.devices import FRAME_BYTES
from runner.audio.pcm import to_pcm, to_samples
from runner.testing.impairments import ImpairedMicrophone, Impairment
from tests.fakes import FakeMicrophone

TONE = to_pcm(np.full(FRAME_BYTES // 2, 0.25, np.float32))


async def heard(
    impairment: Impairment, seed: int = 1, frames: int = 400
) -> list[bytes]:
    microphone = FakeMicrophone()
    for _ in range(frames):
        microphone.put(TONE)
    microphone.put(None)
    impaired = ImpairedMicrophone(microphone, impairment, seed)
    return [frame async for frame in _frames(impaired)]


def _frames(microphone: ImpairedMicrophone) -> AsyncIterator[bytes]:
    return microphone.frames()


async def test_without_impairment_nothing_changes() -> None:
    assert set(await heard(Impairment())) == {TONE}


@pytest.mark.parametrize("level", [-60.0, -40.0, -20.0])
async def test_noise_has_the_level_that_is_asked_for(level: float) -> None:
    frames = await heard(Impairment(noise_db=level))

    noise = np.concatenate([to_samples(frame) for frame in frames]) - 0.25
    measured = 20 * np.log10(np.sqrt(np.mean(noise**2)))
    assert measured == pytest.approx(level, abs=0.2)


async def test_so_many_frames_are_lost_and_their_time_stays() -> None:
    frames = await heard(Impairment(packet_loss=0.25))

    assert len(frames) == 400
    lost = sum(frame == bytes(FRAME_BYTES) for frame in frames)
    assert lost == pytest.approx(100, abs=30)  # some 3.5 standard deviations
    assert all(frame in (TONE, bytes(FRAME_BYTES)) for frame in frames)


async def test_the_same_seed_impairs_the_same_frames() -> None:
    impairment = Impairment(noise_db=-30.0, packet_loss=0.1)

    assert await heard(impairment, 7) == await heard(impairment, 7)
    assert await heard(impairment, 7) != await heard(impairment, 8)
