"""What an agent file says, checked and frozen; the only form the rest of vagent sees.

Durations are float seconds. Text fields are resolved: `${name}` is replaced by its
value. `Secret` holds what came from the environment, so that it cannot be printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

Effect = Literal["read", "write", "terminal"]
OnInterrupt = Literal["cancel", "finish"]
Announcement: TypeAlias = str | Literal[False]
ToolResults = Literal["after_reply", "immediate"]
# JSON Schemas of tool kinds, by the key that tells the kind apart.
Kinds: TypeAlias = Mapping[str, Mapping[str, Any] | bool]


# Seconds that a call may take where neither the file nor the tool says more.
DEFAULT_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    """Which voice speaks and how loud (`volume` 0 to 100, None: the service's own)."""

    name: str | None = None
    volume: float | None = None


@dataclass(frozen=True, slots=True)
class TranscriptionConfig:
    """How speech is turned into text."""

    mode: Literal["min_latency", "balanced", "max_accuracy"] | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class TurnDetectionConfig:
    """When the caller's turn begins and ends; None leaves it to the service."""

    vad_threshold: float | None = None
    min_silence: float | None = None
    max_silence: float | None = None
    interruptible: bool | None = None
    interruption_delay: float | None = None


@dataclass(frozen=True, slots=True)
class ToolConfig:
    """One entry of `tools`: `kind` is the key that tells it apart.

    `settings` is that key's value (a string for python and plugin, a mapping for http),
    with variables replaced; environment values are already in it, so never print it.
    `name`, `description` and `parameters` are None where the file leaves them to the
    tool (a Python signature, a plugin).
    """

    kind: str
    settings: Any = field(repr=False)
    name: str | None = None
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    timeout: float | None = None  # None: the tool's own, else DEFAULT_TIMEOUT
    effect: Effect | None = None  # None: the tool's own, else read
    on_interrupt: OnInterrupt | None = None  # None: by effect
    announce: Announcement | None = None  # None: the tool's own; False: nothing


@dataclass(frozen=True, slots=True)
class IdleConfig:
    """What is done about a caller who says nothing; None: nothing."""

    nudge_after: float | None = None
    say: str | None = None  # None: the agent asks in its own words
    end_after: float | None = None


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Limits and habits of a session; `carry_over` None leaves it to the service."""

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
    """One agent, as its file describes it."""

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
    # Values that came from ${env:...}: whatever is logged or recorded masks them.
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def folder(self) -> Path:
        """Where the agent file lies; its tools may lie only at or below it."""
        return self.path.parent
