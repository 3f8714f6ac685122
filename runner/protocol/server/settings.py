"""What a client has configured, as the session echoes it and as the server reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runner.protocol.messages import Json, JsonObject
from runner.protocol.server.limits import INPUT, OUTPUT, RATES
from runner.protocol.server.voices import SERVICE_VOICES


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """When a turn begins and ends, in seconds; None leaves it to the server."""

    vad_threshold: float
    min_silence: float | None
    max_silence: float | None
    interruptible: bool
    interruption_delay: float
    protected: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Settings:
    """One session's configuration; `tree` is the echo without its `id`."""

    tree: JsonObject

    @property
    def system_prompt(self) -> str:
        return str(self.tree["system_prompt"] or "")

    @property
    def greeting(self) -> str:
        return str(self.tree["greeting"] or "")

    @property
    def tools(self) -> tuple[JsonObject, ...]:
        return tuple(self.tree["tools"])

    @property
    def key_terms(self) -> tuple[str, ...]:
        return tuple(self.tree["input"]["keyterms"] or ())

    @property
    def input_encoding(self) -> str:
        return str(self.tree["input"]["format"]["encoding"])

    @property
    def output_encoding(self) -> str:
        return str(self.tree["output"]["format"]["encoding"])

    @property
    def speaks(self) -> bool:
        """Whether replies have sound (`output.type` is not text)."""
        return bool(self.tree["output"]["type"] == "audio")

    @property
    def volume(self) -> float:
        """How loud, 0 to 1."""
        volume = self.tree["output"]["volume"]
        return 1.0 if volume is None else volume / 100

    @property
    def turn_detection(self) -> TurnDetection:
        listed = self.tree["input"]["turn_detection"] or {}
        # The service interrupts at once in its quickest mode and after half a second
        # of speech otherwise: long enough that a cough or "mhm" does not kill a reply.
        quick = self.tree["input"]["transcription_mode"] == "min_latency"
        delay = listed.get("interruption_delay")
        interrupts = listed.get("interrupt_response")
        return TurnDetection(
            vad_threshold=_or(listed.get("vad_threshold"), 0.5),
            min_silence=_seconds(listed.get("min_silence")),
            max_silence=_seconds(listed.get("max_silence")),
            interruptible=True if interrupts is None else interrupts,
            interruption_delay=_or(_seconds(delay), 0.0 if quick else 0.5),
            protected=frozenset(listed.get("uninterruptible_turns") or ()),
        )

    def tool_timeout(self, name: str) -> float:
        """Return how long the service waits for this tool's result, in seconds."""
        for tool in self.tools:
            if tool["name"] == name:
                return float(tool["timeout_seconds"])
        return 120.0

    def echo(self, session_id: str) -> dict[str, Json]:
        """Return the `config` of session.updated and session.ready."""
        return {"id": session_id, **self.tree}


def bytes_per_ms(encoding: str) -> float:
    """Return how many bytes a millisecond of sound takes in a wire encoding."""
    return RATES[encoding] * (2 if encoding == "audio/pcm" else 1) / 1000


def default_settings() -> Settings:
    """Return what holds before the first update: unset options are None."""
    return Settings(
        {
            "system_prompt": "",
            "greeting": None,
            "input": {
                **dict.fromkeys(INPUT),
                "type": "audio",
                "format": audio_format(None),
            },
            "output": {
                **dict.fromkeys(OUTPUT),
                "type": "audio",
                "voice": SERVICE_VOICES[0],
                "format": audio_format(None),
            },
            "tools": [],
            "llm": [],
            "pre_connect_requests": [],
        }
    )


def audio_format(value: JsonObject | None) -> dict[str, Json]:
    encoding = str((value or {}).get("encoding") or "audio/pcm")
    return {"encoding": encoding, "sample_rate": RATES[encoding]}


def _or(value: Any, default: float) -> float:
    return default if value is None else float(value)


def _seconds(milliseconds: Any) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
