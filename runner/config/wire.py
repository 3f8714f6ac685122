"""An agent as the `session` object of `session.update`; only what its file says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.config.model import AgentConfig, TurnDetectionConfig


def session_fields(
    agent: AgentConfig, tools: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return the fields of the session; `tools` are definitions as the wire has them.

    What the file leaves open is left out, never sent as null: the service refuses a
    null greeting, and setting a silence turns its adaptive endpointing off.
    """
    fields: dict[str, Any] = {"system_prompt": agent.prompt}
    if agent.greeting is not None:
        fields["greeting"] = agent.greeting
    if heard := _input_fields(agent):
        fields["input"] = heard
    spoken = _present({"voice": agent.voice.name, "volume": agent.voice.volume})
    if spoken:
        fields["output"] = spoken
    if tools:
        fields["tools"] = [dict(each) for each in tools]
    return fields


def _input_fields(agent: AgentConfig) -> dict[str, Any]:
    return _present(
        {
            "keyterms": list(agent.key_terms) or None,
            "transcription_mode": agent.transcription.mode,
            "transcription_prompt": agent.transcription.prompt,
            "language_codes": list(agent.languages) or None,
            "turn_detection": _turn_fields(agent.turn_detection) or None,
        }
    )


def _turn_fields(turns: TurnDetectionConfig) -> dict[str, Any]:
    return _present(
        {
            "vad_threshold": turns.vad_threshold,
            "min_silence": _milliseconds(turns.min_silence),
            "max_silence": _milliseconds(turns.max_silence),
            "interrupt_response": turns.interruptible,
            "interruption_delay": _milliseconds(turns.interruption_delay),
        }
    )


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}
