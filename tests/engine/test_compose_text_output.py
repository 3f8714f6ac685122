"""Sessions whose answers are written, because no one hears them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.audio.devices import Speaker
from runner.audio.virtual import ClockedSpeaker, InjectedMicrophone, NullSpeaker
from runner.engine.audio_setup import LocalEndpoint
from runner.engine.compose import CallOptions, RecordingOptions, as_text, is_silent
from runner.engine.services import Service
from runner.protocol.client.config import ClientConfig

LOCAL = Service("the local service", None, "test", None)
REMOTE = replace(LOCAL, url="wss://agents.assemblyai.com/v1/ws")
OPTIONS = CallOptions(Path("a.yaml"))
WITH_AUDIO = replace(OPTIONS, recording=RecordingOptions(Path("calls")))
WITHOUT_AUDIO = replace(OPTIONS, recording=RecordingOptions(Path("calls"), audio=False))


@pytest.mark.parametrize(
    ("source", "speaker", "service", "options", "expected"),
    [
        ("text", NullSpeaker, LOCAL, OPTIONS, True),
        ("text", NullSpeaker, LOCAL, WITHOUT_AUDIO, True),
        ("text", NullSpeaker, LOCAL, WITH_AUDIO, False),
        ("text", NullSpeaker, REMOTE, OPTIONS, False),
        ("text", ClockedSpeaker, LOCAL, OPTIONS, False),
        ("mic", NullSpeaker, LOCAL, OPTIONS, False),
    ],
)
async def test_answers_are_written_only_if_nothing_plays_or_records_them(
    source: str,
    speaker: type[Speaker],
    service: Service,
    options: CallOptions,
    expected: bool,
) -> None:
    endpoint = LocalEndpoint(source, InjectedMicrophone(), speaker())
    assert is_silent(endpoint, service, options) is expected


def test_the_voice_of_the_agent_is_kept() -> None:
    config = ClientConfig(session={"output": {"voice": "alba"}, "system_prompt": "x"})
    assert as_text(config).session == {
        "output": {"voice": "alba", "type": "text"},
        "system_prompt": "x",
    }
    assert as_text(ClientConfig(session={})).session == {"output": {"type": "text"}}
