"""A checked document to the frozen `AgentConfig`; nothing can be wrong any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.config.durations import parse_duration
from runner.config.interpolation import Expander
from runner.config.model import (
    AgentConfig,
    IdleConfig,
    LlmConfig,
    LocalConfig,
    SessionConfig,
    ToolConfig,
    TranscriptionConfig,
    TurnDetectionConfig,
    VoiceConfig,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TOOL_FIELDS = {
    "name",
    "description",
    "parameters",
    "timeout",
    "effect",
    "on_interrupt",
    "announce",
}


def build_agent(
    path: Path,
    value: Mapping[str, Any],
    prompt: str | None,
    variables: Mapping[str, str],
    environment: Mapping[str, str],
) -> AgentConfig:
    """Build the agent; `prompt` is the text of `prompt_file` where there is one."""
    expander = Expander(variables, environment)
    fields = expander.expand(dict(value))
    text = fields["prompt"] if prompt is None else expander.expand_text(prompt)
    return AgentConfig(
        path=path,
        version=int(fields["version"]),
        name=fields["name"],
        prompt=text,
        greeting=fields.get("greeting"),
        voice=_voice(fields.get("voice")),
        languages=tuple(fields.get("languages", ())),
        key_terms=tuple(fields.get("key_terms", ())),
        transcription=TranscriptionConfig(**fields.get("transcription", {})),
        turn_detection=_turn_detection(fields.get("turn_detection", {})),
        variables=dict(variables),
        tools=tuple(_tool(each) for each in fields.get("tools", ())),
        session=_session(fields.get("session", {})),
        service_url=fields.get("service", {}).get("url"),
        local=_local(fields.get("local", {})),
        secrets=frozenset(value for value in expander.secrets if value),
    )


def resolve_variables(
    value: Mapping[str, Any], given: Mapping[str, str]
) -> dict[str, str]:
    """Return the value of every declared variable that has one."""
    declared = value.get("variables", {})
    defaults = {
        name: each["default"] for name, each in declared.items() if "default" in each
    }
    return {**defaults, **given}


def _voice(value: Any) -> VoiceConfig:
    if isinstance(value, str):
        return VoiceConfig(name=value)
    return VoiceConfig(**(value or {}))


def _turn_detection(value: Mapping[str, Any]) -> TurnDetectionConfig:
    seconds = {
        key: parse_duration(value[key])
        for key in ("min_silence", "max_silence", "interruption_delay")
        if key in value
    }
    return TurnDetectionConfig(**{**value, **seconds})


def _session(value: Mapping[str, Any]) -> SessionConfig:
    fields = dict(value)
    if "max_duration" in fields:
        fields["max_duration"] = parse_duration(fields["max_duration"])
    fields["idle"] = _idle(fields.get("idle", {}))
    return SessionConfig(**fields)


def _idle(value: Mapping[str, Any]) -> IdleConfig:
    seconds = {
        key: parse_duration(value[key])
        for key in ("nudge_after", "end_after")
        if key in value
    }
    return IdleConfig(**{**value, **seconds})


def _local(value: Mapping[str, Any]) -> LocalConfig:
    llm = value.get("llm", "auto")
    if isinstance(llm, str):
        config = LlmConfig(name=llm)
    else:
        # An endpoint has its own model: nothing is left to choose.
        config = LlmConfig(name="endpoint", **llm)
    return LocalConfig(value.get("stt"), config, value.get("tts"))


def _tool(value: Mapping[str, Any]) -> ToolConfig:
    (kind,) = (key for key in value if key not in _TOOL_FIELDS)
    common = {key: each for key, each in value.items() if key in _TOOL_FIELDS}
    if "timeout" in common:
        common["timeout"] = parse_duration(common["timeout"])
    return ToolConfig(kind=kind, settings=value[kind], **common)
