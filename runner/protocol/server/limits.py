"""What the values of session.update may be: one table a level, one check a field.

A check takes the value and its place and returns why it is refused, or None. Null
stands for "not set" everywhere (the greeting's special case lives in `settings`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class InvalidConfig:
    """Why an update is not taken, in the words of session.error."""

    code: str
    message: str
    param: str | None = None


Check: TypeAlias = Callable[[Any, str], InvalidConfig | None]

_LANGUAGES = "en es de fr pt it tr nl sv no da fi hi vi ar he ja zh"
# The encodings of audio on the wire, with their samples per second.
RATES = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}


def validate(param: str, why: str) -> InvalidConfig:
    """Return the refusal of a value at its place."""
    return InvalidConfig("invalid_value", f"{param} {why}", param)


def text(longest: int | None = None) -> Check:
    """Check for a string of at most so many characters."""

    def check(value: Any, param: str) -> InvalidConfig | None:
        if not isinstance(value, str):
            return validate(param, "must be a string")
        if longest is not None and len(value) > longest:
            return validate(param, f"must be at most {longest} characters")
        return None

    return _or_null(check)


def choice(*allowed: str) -> Check:
    """Check for one of these strings."""

    def check(value: Any, param: str) -> InvalidConfig | None:
        if value in allowed:
            return None
        return validate(param, f"must be one of: {', '.join(allowed)}")

    return _or_null(check)


def number(low: float, high: float, *, whole: bool = False) -> Check:
    """Check for a number in a closed range."""

    def check(value: Any, param: str) -> InvalidConfig | None:
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            return validate(param, f"must be {'an integer' if whole else 'a number'}")
        if not low <= value <= high:  # also refuses NaN
            return validate(param, f"must be between {low:g} and {high:g}")
        return None

    return _or_null(check)


def flag(value: Any, param: str) -> InvalidConfig | None:
    """Check for true or false."""
    if value is None or isinstance(value, bool):
        return None
    return validate(param, "must be true or false")


def texts(item: Check, most: int | None = None) -> Check:
    """Check for a list whose items pass a check."""

    def check(value: Any, param: str) -> InvalidConfig | None:
        if not isinstance(value, list):
            return validate(param, "must be a list")
        if most is not None and len(value) > most:
            return validate(param, f"must have at most {most} items")
        for index, entry in enumerate(value):
            place = f"{param}[{index}]"
            if entry is None:
                return validate(place, "must be a string")
            refusal = item(entry, place)
            if refusal is not None:
                return refusal
        return None

    return _or_null(check)


def section(fields: Mapping[str, Check]) -> Check:
    """Check for an object by the checks of its fields; keys are checked before."""

    def check(value: Any, param: str) -> InvalidConfig | None:
        if not isinstance(value, Mapping):
            return validate(param, "must be an object")
        for key, entry in value.items():
            refusal = fields[key](entry, f"{param}.{key}")
            if refusal is not None:
                return refusal
        return None

    return _or_null(check)


def audio_format(value: Any, param: str) -> InvalidConfig | None:
    """Check for an object that names an encoding and perhaps its only rate."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return InvalidConfig(
            "invalid_value", "Audio format must be a JSON object", "format"
        )
    encoding = value.get("encoding", "audio/pcm")
    if encoding not in RATES:
        return validate(f"{param}.encoding", f"must be one of: {', '.join(RATES)}")
    rate = RATES[encoding]
    if value.get("sample_rate", rate) not in (rate, None):
        return validate(f"{param}.sample_rate", f"must be {rate} for {encoding}")
    return None


def check_tools(tools: Sequence[Any]) -> InvalidConfig | None:
    """Check the list of tools: flat function definitions with distinct names."""
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        refusal = _check_tool(tool, f"tools[{index}]")
        if refusal is not None:
            return refusal
        if tool["name"] in seen:
            return validate(f"tools[{index}].name", f"'{tool['name']}' is there twice")
        seen.add(tool["name"])
    return None


def _check_tool(tool: Any, place: str) -> InvalidConfig | None:
    if not isinstance(tool, Mapping):
        return validate(place, "must be an object")
    if tool.get("type") != "function":
        return validate(f"{place}.type", "must be 'function'")
    if not isinstance(tool.get("name"), str) or not tool["name"]:
        return validate(f"{place}.name", "must be a non-empty string")
    if tool.get("http") is not None:
        return validate(f"{place}.http", "is for stored agents only")
    parameters = tool.get("parameters")
    if parameters is not None:
        refusal = _check_parameters(parameters, f"{place}.parameters")
        if refusal is not None:
            return refusal
    return TOOL["description"](tool.get("description"), f"{place}.description") or TOOL[
        "timeout_seconds"
    ](tool.get("timeout_seconds"), f"{place}.timeout_seconds")


def _check_parameters(parameters: Any, place: str) -> InvalidConfig | None:
    if not isinstance(parameters, Mapping):
        return validate(place, "must be an object")
    properties = parameters.get("properties", {})
    if not isinstance(properties, Mapping):
        return validate(f"{place}.properties", "must be an object")
    for name, schema in properties.items():
        if not isinstance(schema, Mapping | bool):
            return validate(f"{place}.properties.{name}", "must be an object")
    return texts(text())(parameters.get("required"), f"{place}.required")


def _or_null(check: Check) -> Check:
    return lambda value, param: None if value is None else check(value, param)


def _anything(value: Any, param: str) -> InvalidConfig | None:
    """For fields that are checked elsewhere."""
    del value, param
    return None


def _list(value: Any, param: str) -> InvalidConfig | None:
    if value is None or isinstance(value, list):
        return None
    return validate(param, "must be a list")


TOOL: Mapping[str, Check] = {
    "description": text(),
    "timeout_seconds": number(1, 300),
}
TURN_DETECTION: Mapping[str, Check] = {
    "type": choice("server_vad", "semantic_vad"),
    "vad_threshold": number(0, 1),
    "min_silence": number(50, 10_000, whole=True),
    "max_silence": number(50, 10_000, whole=True),
    "interrupt_response": flag,
    "interruption_delay": number(0, 1_000, whole=True),
    "uninterruptible_turns": texts(
        choice("greeting", "dtmf_prompt", "tool_refused_ask")
    ),
}
INPUT: Mapping[str, Check] = {
    "type": choice("audio", "text"),
    "format": audio_format,
    "turn_detection": section(TURN_DETECTION),
    "keyterms": texts(text(), most=100),
    "transcription_mode": choice("min_latency", "balanced", "max_accuracy"),
    "continuous_partials": flag,
    "transcription_prompt": text(longest=1_750),
    "language_codes": texts(choice(*_LANGUAGES.split())),
    "voice_focus": choice("near-field", "far-field"),
    "voice_focus_threshold": number(0, 1),
}
OUTPUT: Mapping[str, Check] = {
    "type": choice("audio", "text"),
    "voice": text(),
    "format": audio_format,
    "volume": number(0, 100),
}
SECTIONS: Mapping[str, Check] = {
    "agent_id": _anything,
    "system_prompt": text(),
    "greeting": text(),
    "input": section(INPUT),
    "output": section(OUTPUT),
    "tools": _list,
    "llm": _list,
    "pre_connect_requests": _list,
    "webhook": _anything,
}
