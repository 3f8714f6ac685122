from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.protocol.client.actions import Action, Connect, Play
from runner.protocol.client.events import Event, MicFrame, Received
from runner.protocol.codec import dumps
from runner.protocol.messages import SessionReady
from runner.recording.format import (
    AudioSummary,
    Entry,
    audio_line,
    read_line,
    write_line,
)
from tests.recording.strategies import ENTRIES, ENTRY, SOUND

TIME = st.floats(0, 10_000).map(lambda at: round(at, 6))


@given(at=TIME, entry=ENTRY)
@settings(max_examples=150)
def test_every_line_comes_back_as_it_was(at: float, entry: Entry) -> None:
    text = dumps(write_line(at, entry))

    assert read_line(json.loads(text)) == (at, entry)


def test_the_test_above_draws_every_event_and_action() -> None:
    written = {*get_args(Event), *get_args(Action), AudioSummary} - {MicFrame, Play}

    assert set(ENTRIES) == written


@given(at=TIME, sound=SOUND)
def test_the_fast_path_of_an_audio_line_writes_the_same(
    at: float, sound: AudioSummary
) -> None:
    assert json.loads(audio_line(at, sound)) == write_line(at, sound)


def test_a_token_is_never_in_a_line() -> None:
    ready = Received(SessionReady("sess_1", resume_token="token-of-half-a-minute"))

    lines = [write_line(0.0, ready), write_line(0.0, Connect("token-of-half-a-minute"))]

    assert "half-a-minute" not in json.dumps(lines)
    assert lines[1]["resumes"] is True


def test_a_line_of_an_unknown_kind_is_none() -> None:
    assert read_line({"at": 1.0, "on": "gesture"}) is None
    assert read_line({"at": 1.0}) is None


@pytest.mark.parametrize("at", ["NaN", "Infinity", "-1", "1e300"])
def test_an_invalid_time_is_an_invalid_line(at: str) -> None:
    for line in (
        f'{{"at": {at}, "on": "tick"}}',
        f'{{"at": 1, "until": {at}, "sound": {{}}}}',
    ):
        with pytest.raises(ValueError, match="is not a time of a call"):
            read_line(json.loads(line))
