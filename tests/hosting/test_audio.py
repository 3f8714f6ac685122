"""Microphone and speaker of a client behind a socket, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from runner.audio.devices import BYTES_PER_MS, FRAME_BYTES, FRAME_MS
from runner.hosting.audio import RemoteMicrophone, RemoteSpeaker
from runner.testing.virtual_clock import run_virtually

SPEECH = b"\x01\x00" * (FRAME_BYTES // 2)


async def listen(microphone: RemoteMicrophone, into: list[tuple[float, bytes]]) -> None:
    loop = asyncio.get_running_loop()
    async for frame in microphone.frames():
        into.append((loop.time(), frame))


def test_audio_of_any_chunk_size_becomes_frames_at_once() -> None:
    async def call() -> None:
        heard: list[tuple[float, bytes]] = []
        async with RemoteMicrophone() as microphone:
            listening = asyncio.create_task(listen(microphone, heard))
            await asyncio.sleep(0)
            began = asyncio.get_running_loop().time()
            for start in range(0, 3 * FRAME_BYTES, 480):
                microphone.feed((SPEECH * 3)[start : start + 480])
            await asyncio.sleep(0)
            assert [frame for _, frame in heard] == [SPEECH] * 3
            assert {at for at, _ in heard} == {began}
        await listening

    run_virtually(call())


def test_a_silent_client_is_heard_as_silence_in_real_time() -> None:
    async def call() -> None:
        heard: list[tuple[float, bytes]] = []
        async with RemoteMicrophone() as microphone:
            listening = asyncio.create_task(listen(microphone, heard))
            await asyncio.sleep(0)
            microphone.feed(SPEECH + SPEECH[:100])
            await asyncio.sleep(2.31)
            frames = [frame for _, frame in heard]
            assert frames[0] == SPEECH
            assert frames[1] == SPEECH[:100] + bytes(FRAME_BYTES - 100)
            assert set(frames[2:]) == {bytes(FRAME_BYTES)}
            # One each 50 ms, once 300 ms have passed.
            assert len(frames) - 1 == pytest.approx((2.31 - 0.3) * 1000 / FRAME_MS, 0.1)
            microphone.feed(SPEECH)
            await asyncio.sleep(0.1)
            assert heard[-1][1] == SPEECH
        await listening

    run_virtually(call())


def test_the_oldest_audio_is_dropped_if_the_call_does_not_read() -> None:
    async def call() -> None:
        microphone = RemoteMicrophone()
        for number in range(204):
            microphone.feed(bytes([number, 0]) * (FRAME_BYTES // 2))
        assert microphone.dropped_ms == 4 * FRAME_MS
        frames = microphone.frames()
        assert (await anext(frames))[:1] == b"\x04"

    run_virtually(call())


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def pcm(milliseconds: int) -> bytes:
    return bytes(milliseconds * BYTES_PER_MS)


def test_the_speaker_counts_what_the_client_has_not_played_yet() -> None:
    clock = Clock()
    speaker = RemoteSpeaker(clock)
    speaker.begin_reply("r1")
    speaker.play(pcm(1_000))
    clock.at += 0.4
    assert speaker.pending_ms == pytest.approx(600)
    speaker.play(pcm(500))
    assert speaker.pending_ms == pytest.approx(1_100)
    assert speaker.stop() == pytest.approx(1_100)
    assert speaker.pending_ms == 0
    assert speaker.stop() == 0


def test_a_report_of_the_client_corrects_the_estimate() -> None:
    clock = Clock()
    speaker = RemoteSpeaker(clock)
    speaker.begin_reply("r1")
    speaker.play(pcm(1_000))
    clock.at += 0.5
    speaker.report("r1", 300)  # its buffer and the network took 200 ms
    assert speaker.pending_ms == pytest.approx(700)
    speaker.report("r0", 0)  # an earlier reply
    speaker.report("r1", -5e9)
    assert speaker.pending_ms == pytest.approx(1_000)
    speaker.report("r1", 5e9)
    assert speaker.pending_ms == 0
    speaker.report("r1", 300)  # what was discarded is not played later
    assert speaker.pending_ms == 0


def test_playback_waits_while_there_is_no_connection() -> None:
    async def call() -> None:
        loop = asyncio.get_running_loop()
        speaker = RemoteSpeaker(loop.time)
        speaker.begin_reply("r1")
        speaker.play(pcm(1_000))
        await asyncio.sleep(0.25)
        speaker.pause()
        began = loop.time()
        drained = asyncio.create_task(speaker.drained())
        await asyncio.sleep(3)
        assert speaker.pending_ms == pytest.approx(750)
        assert not drained.done()
        speaker.resume()
        await drained
        assert loop.time() - began == pytest.approx(3.75, abs=0.8)

    run_virtually(call())
