"""Reports and preparation at the start of the service."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from runner.service.app import warm_up
from runner.service.conversation import ServerContext
from runner.service.responses import SpeechSynthesizer
from runner.service.workers import Workers
from runner.speech.interfaces import MissingComponent, Synthesizer
from tests.service.scripted import ScriptedSpeech


async def warm_up_reports(
    missing: Sequence[MissingComponent] = (), voice: Synthesizer | None = None
) -> Any:
    said: list[tuple[str, Any]] = []
    speech = ScriptedSpeech(
        {}, lambda context, history: [], missing=missing, voice=voice
    )
    workers = Workers(1)
    synthesizer = SpeechSynthesizer(speech, workers)
    await warm_up(
        ServerContext(
            speech, workers, synthesizer, lambda kind, facts: said.append((kind, facts))
        )
    )
    workers.close()
    return said


async def test_a_missing_component_is_reported_with_its_command() -> None:
    part = MissingComponent(
        "llm", "no weights", "rules", "vagent models fetch qwen-0.5b"
    )

    [(kind, facts)] = await warm_up_reports([part])

    assert kind == "vagent.missing"
    assert facts["part"] == "llm"
    assert facts["command"] == "vagent models fetch qwen-0.5b"


async def test_a_failure_of_the_synthesizer_is_a_warning() -> None:
    class Broken:
        def synthesize(
            self, text: str, cancelled: Callable[[], bool]
        ) -> Iterator[bytes]:
            raise RuntimeError("broken")

    [(kind, facts)] = await warm_up_reports(voice=Broken())

    assert kind == "vagent.warning"
    assert "broken" in facts["message"]
