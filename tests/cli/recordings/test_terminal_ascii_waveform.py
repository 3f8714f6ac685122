"""The waveform as rows of characters."""

from __future__ import annotations

import numpy as np
import pytest

from runner.cli.recordings.terminal import ASCII, UNICODE, draw
from runner.observers.timeline import trace
from runner.protocol.client.actions import RunTool, StopPlayback
from runner.protocol.client.events import Disconnected, Received, Say, ToolFinished
from runner.protocol.messages import (
    InputSpeechStarted,
    ReplyStarted,
    SessionReady,
    ToolCall,
)
from runner.recording.audio_tracks import Envelope, Voices
from runner.recording.format import AudioSummary, Entry

CALL = ToolCall("c", "look_up")
ENTRIES: list[tuple[float, Entry]] = [
    (0.0, Received(SessionReady("s"))),
    (0.0, Say("Hello")),
    (1.0, Received(ReplyStarted("r"))),
    (1.0, AudioSummary(1.0, received=480_000, played=480_000, reply_id="r")),
    (2.0, RunTool(CALL)),
    (4.0, ToolFinished("c", "{}")),
    (6.0, Received(InputSpeechStarted())),
    (6.0, StopPlayback()),
    (8.0, Disconnected("gone")),
    (10.0, StopPlayback()),
]


def voice(*levels: float) -> Envelope:
    """Return a voice with a level for each second."""
    peaks = np.repeat(np.array(levels, np.float32), 50)
    return Envelope(peaks, peaks > 0)


def test_a_column_is_as_high_as_the_voice_is_loud() -> None:
    voices = Voices(voice(*[0.0] * 10), voice(0, 0.02, 0.1, 0.3, 0.6, 1, 0, 0, 0, 0))
    lanes = draw(trace(ENTRIES, voices), voices, 10, UNICODE)

    assert lanes.agent == " ▂▃▅▇█    "
    assert lanes.caller[0] == "╌"  # typed


def test_without_audio_turns_are_drawn() -> None:
    lanes = draw(trace(ENTRIES), None, 10, ASCII)

    assert lanes.agent == " ++++++   "
    assert lanes.events == "  === ! xx"


def test_the_legend_has_only_drawn_symbols() -> None:
    lanes = draw(trace(ENTRIES), None, 10, ASCII)
    words = "_ text without audio   = tool   x connection lost   ! interruption"

    assert lanes.legend == words
    assert draw(trace([]), None, 10, ASCII).legend == ""


@pytest.mark.parametrize("seconds", [0.0, 0.3, 7, 100, 5000, 90_000, 10_000_000])
@pytest.mark.parametrize("columns", [1, 8, 32, 200])
def test_every_row_fits(seconds: float, columns: int) -> None:
    entries: list[tuple[float, Entry]] = [(seconds, StopPlayback())]
    lanes = draw(trace(entries), None, columns, UNICODE)

    assert len(lanes.caller) == len(lanes.agent) == columns
    assert len(lanes.ticks) <= columns


def test_ticks_are_at_their_times() -> None:
    entries: list[tuple[float, Entry]] = [(60.0, StopPlayback())]

    assert draw(trace(entries), None, 60, ASCII).ticks == (
        "'0:00     '0:10     '0:20     '0:30     '0:40     '0:50"
    )
