"""What the server does before it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from runner.service.app import warm_up
from runner.service.conversation import ServerContext
from runner.service.responses import SpeechSynthesizer
from runner.service.workers import Workers
from runner.speech.interfaces import MissingComponent, Synthesizer
from tests.service.scripted import ScriptedSpeech


async def told(
    missing: Sequence[MissingComponent] = (), voice: Synthesizer | None = None
) -> Any:
    said: list[tuple[str, Any]] = []
    speech = ScriptedSpeech({}, lambda brief, history: [], missing=missing, voice=voice)
    workers = Workers(1)
    synthesizer = SpeechSynthesizer(speech, workers)
    await warm_up(
        ServerContext(
            speech, workers, synthesizer, lambda kind, facts: said.append((kind, facts))
        )
    )
    workers.close()
    return said


async def test_a_missing_part_is_told_with_what_mends_it() -> None:
    part = MissingComponent(
        "brain", "no weights", "rules", "vagent models fetch qwen-0.5b"
    )

    [(kind, facts)] = await told([part])

    assert kind == "vagent.missing"
    assert facts["part"] == "brain"
    assert facts["command"] == "vagent models fetch qwen-0.5b"


async def test_a_voice_that_fails_is_warned_of() -> None:
    class Hoarse:
        name = "hoarse"

        def speak(self, text: str, cancelled: Callable[[], bool]) -> Iterator[bytes]:
            raise RuntimeError("hoarse")

    [(kind, facts)] = await told(voice=Hoarse())

    assert kind == "vagent.warning"
    assert "hoarse" in facts["message"]
