"""Recordings of calls that are composed by hand."""

from __future__ import annotations

import json
import random
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from runner.protocol.client.actions import Action, Play, Send
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import Event, MicFrame, Received
from runner.protocol.messages import InputAudio, ReplyAudio
from runner.recording.format import Header, RecordedAgent
from runner.recording.recorder import Recorder

Happening: TypeAlias = tuple[float, Event | Action]
FRAME = 2400  # bytes of 50 ms
RATE = 24_000


def header(**more: Any) -> Header:
    agent = RecordedAgent("tester", "tester.yaml", "0" * 64)
    basis = {"service": "a stand-in", "config": ClientConfig(), "seed": 1}
    names = ("started", "vagent", "python", "platform")
    return Header(agent, **{**basis, **dict.fromkeys(names, ""), **more})


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def heard(at: float, pcm: bytes) -> list[Happening]:
    """Returns the events and actions of a microphone frame."""
    return [(at, MicFrame(pcm)), (at, Send(InputAudio(pcm)))]


def spoken(at: float, pcm: bytes, reply_id: str = "reply_1") -> list[Happening]:
    """Returns the events and actions of agent audio."""
    return [(at, Received(ReplyAudio(pcm, reply_id))), (at, Play(pcm))]


def record(
    folder: Path, happenings: Sequence[Happening], agent_text: str = "", **options: Any
) -> Path:
    """Records the entries and closes the recording."""
    options.setdefault("threaded", False)
    first = options.pop("header", header())
    with Recorder(folder, first, agent_text, **options) as recorder:
        for at, what in happenings:
            recorder.observe(at, what)
    return folder


def lines(folder: Path, name: str = "session.jsonl") -> list[dict[str, Any]]:
    text = (folder / name).read_text("utf-8")
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def read_wav(path: Path) -> bytes:
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getsampwidth()) == (RATE, 2)
        pcm = file.readframes(file.getnframes())
        assert len(pcm) == 2 * file.getnframes() * file.getnchannels()
        return pcm
