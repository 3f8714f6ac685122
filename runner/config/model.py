"""Frozen dataclasses of a checked agent file, and the `session` object of the wire.

Durations are float seconds. Placeholders in texts are replaced by their values; values
from the environment are also in `AgentConfig.secrets`, to redact them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from runner.config.durations import parse_duration
from runner.config.interpolation import Expander

if TYPE_CHECKING:
    from collections.abc import Sequence


Effect = Literal["read", "write", "terminal"]
OnInterrupt = Literal["cancel", "finish"]
Announcement: TypeAlias = str | Literal[False]
ToolResults = Literal["after_reply", "immediate"]
# JSON Schemas of tool kinds, by the key of the kind.
Kinds: TypeAlias = Mapping[str, Mapping[str, Any] | bool]


# Timeout of tool calls in seconds, if neither the file nor the tool sets one.
DEFAULT_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    """The voice and its `volume` (0 to 100); None: the default of the service."""

    name: str | None = None
    volume: float | None = None


@dataclass(frozen=True, slots=True)
class TranscriptionConfig:
    """Settings of speech recognition; None: the default of the service."""

    mode: Literal["min_latency", "balanced", "max_accuracy"] | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class TurnDetectionConfig:
    """When the caller's turn begins and ends; None: the default of the service."""

    vad_threshold: float | None = None
    min_silence: float | None = None
    max_silence: float | None = None
    interruptible: bool | None = None
    interruption_delay: float | None = None


@dataclass(frozen=True, slots=True)
class ToolConfig:
    """One entry of `tools`: `kind` is the key that defines it, `settings` its value.

    `settings` (a string for python and plugin, a mapping for http) holds values of the
    environment and must not be printed. `name`, `description` and `parameters` are None
    if they come from the tool (a Python signature, a plugin).
    """

    kind: str
    settings: Any = field(repr=False)
    name: str | None = None
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    timeout: float | None = None  # None: the tool's own, else DEFAULT_TIMEOUT
    effect: Effect | None = None  # None: the tool's own, else read
    on_interrupt: OnInterrupt | None = None  # None: by effect
    announce: Announcement | None = None  # None: the tool's own; False: none


@dataclass(frozen=True, slots=True)
class IdleConfig:
    """Reactions to a silent caller, in seconds; None: no reaction."""

    nudge_after: float | None = None
    say: str | None = None  # None: the agent chooses the words
    end_after: float | None = None


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Limits and behavior of a session; `carry_over` None: by the service in use."""

    max_duration: float | None = None
    one_minute_left: str | None = None
    tool_results: ToolResults = "after_reply"
    carry_over: bool | None = None
    idle: IdleConfig = IdleConfig()


@dataclass(frozen=True, slots=True)
class LlmConfig:
    """Language model of the local service: a name, a GGUF path, or an endpoint."""

    name: str = "auto"  # auto | rules | qwen-1.5b | qwen-0.5b | a path to a .gguf
    url: str | None = field(default=None, repr=False)
    model: str | None = None
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LocalConfig:
    """Models of the local service; None: the default model."""

    stt: str | None = None
    llm: LlmConfig = LlmConfig()
    tts: str | None = None


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """One agent, as its file defines it."""

    path: Path
    version: int
    name: str
    prompt: str
    greeting: str | None = None
    voice: VoiceConfig = VoiceConfig()
    languages: tuple[str, ...] = ()
    key_terms: tuple[str, ...] = ()
    transcription: TranscriptionConfig = TranscriptionConfig()
    turn_detection: TurnDetectionConfig = TurnDetectionConfig()
    variables: Mapping[str, str] = field(default_factory=dict)
    tools: tuple[ToolConfig, ...] = ()
    session: SessionConfig = SessionConfig()
    service_url: str | None = field(default=None, repr=False)
    local: LocalConfig = LocalConfig()
    # Values from ${env:...}, redacted in everything that is logged or recorded.
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    secret_names: Mapping[str, str] = field(default_factory=dict, repr=False)

    def secrets_in(self, texts: Iterable[str]) -> list[str]:
        """Returns the environment variables whose values are in these texts."""
        whole = "\n".join(texts)
        names = (
            n for value, n in self.secret_names.items() if value and value in whole
        )
        return sorted(names)

    @property
    def folder(self) -> Path:
        """The folder of the agent file; its tools are in it or below it."""
        return self.path.parent


# Fields of tools of every kind, in display order.
TOOL_FIELDS = (
    "name",
    "description",
    "parameters",
    "timeout",
    "effect",
    "on_interrupt",
    "announce",
)


def build_agent(
    path: Path,
    value: Mapping[str, Any],
    prompt: str | None,
    variables: Mapping[str, str],
    environment: Mapping[str, str],
) -> AgentConfig:
    """Returns the agent of a valid file; `prompt` is the text of `prompt_file`."""
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
        secret_names=dict(expander.names),
    )


def resolve_variables(
    value: Mapping[str, Any], given: Mapping[str, str]
) -> dict[str, str]:
    """Returns the value of every declared variable that has one."""
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
        # An endpoint has its own model.
        config = LlmConfig(name="endpoint", **llm)
    return LocalConfig(value.get("stt"), config, value.get("tts"))


def _tool(value: Mapping[str, Any]) -> ToolConfig:
    (kind,) = (key for key in value if key not in TOOL_FIELDS)
    common = {key: each for key, each in value.items() if key in TOOL_FIELDS}
    if "timeout" in common:
        common["timeout"] = parse_duration(common["timeout"])
    return ToolConfig(kind=kind, settings=value[kind], **common)


def session_fields(
    agent: AgentConfig, tools: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Returns the `session` object of `session.update`; `tools` are wire definitions.

    Fields that the file does not set are left out, never null: the service refuses a
    null greeting, and setting a silence turns its adaptive endpointing off.
    """
    fields: dict[str, Any] = {"system_prompt": agent.prompt}
    if agent.greeting is not None:
        fields["greeting"] = agent.greeting
    if audio_input := _input_fields(agent):
        fields["input"] = audio_input
    audio_output = _present({"voice": agent.voice.name, "volume": agent.voice.volume})
    if audio_output:
        fields["output"] = audio_output
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
