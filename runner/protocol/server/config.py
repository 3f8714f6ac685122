"""session.update: checked, merged and refused as the service does it.

A refused update changes nothing. Shapes that the wire schema does not know (an unknown
key, `greeting: null`) are `invalid_format`; values of the wrong type or out of range
are `invalid_value` and name their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.protocol.messages import Json, JsonObject
from runner.protocol.server.limits import (
    INPUT,
    OUTPUT,
    SECTIONS,
    TURN_DETECTION,
    InvalidConfig,
    check_tools,
)
from runner.protocol.server.settings import Settings, audio_format
from runner.protocol.server.voices import FORMER_VOICES, SERVICE_VOICES

_TOOL_TIMEOUT = 120  # seconds, the service's default
# Fixed by the first update; of `output`, the volume stays free.
_IMMUTABLE = ("greeting", "output.type", "output.voice", "output.format")


def apply_update(
    settings: Settings, update: JsonObject, *, first: bool, voices: tuple[str, ...] = ()
) -> Settings | InvalidConfig:
    """Return the settings after an update, or why it is refused.

    `voices` are the server's own, accepted beside those of the service.
    """
    refusal = (
        _check_shape(update)
        or _check_stored_agent(update, first=first)
        or _check_sections(update)
    )
    if refusal is not None:
        return refusal
    changed = _merge(settings.tree, update)
    if not first:
        refusal = _check_immutable(settings.tree, changed)
        if refusal is not None:
            return refusal
    return (
        _check_voice(changed, voices) or _check_silences(changed) or Settings(changed)
    )


def _check_shape(update: JsonObject) -> InvalidConfig | None:
    """The wire schema forbids keys that it does not know, at every level."""
    known: list[tuple[str, Any, Mapping[str, Any]]] = [("", update, SECTIONS)]
    for name, keys in (("input", INPUT), ("output", OUTPUT)):
        known.append((f"{name}.", update.get(name), keys))
    listened = update.get("input")
    if isinstance(listened, Mapping):
        detection = listened.get("turn_detection")
        known.append(("input.turn_detection.", detection, TURN_DETECTION))
    for place, value, keys in known:
        if isinstance(value, Mapping):
            for key in value:
                if key not in keys:
                    return _malformed(f"{place}{key}")
    if "greeting" in update and update["greeting"] is None:
        return _malformed("greeting")
    return None


def _malformed(param: str) -> InvalidConfig:
    text = "Invalid message format for type 'session.update'"
    return InvalidConfig("invalid_format", text, param)


def _check_stored_agent(update: JsonObject, *, first: bool) -> InvalidConfig | None:
    if "agent_id" in update:
        if not first:
            text = "agent_id can only be set on the first session.update"
            return InvalidConfig("agent_id_not_first", text, "agent_id")
        if len(update) > 1:
            text = "agent_id is mutually exclusive with other session fields"
            return InvalidConfig("invalid_value", text, "agent_id")
        return InvalidConfig("agent_not_found", "Agent not found", "agent_id")
    if update.get("llm"):
        text = "BYO LLM config is not allowed on session.update"
        return InvalidConfig("invalid_value", text, "llm")
    if update.get("webhook") is not None:
        text = "Webhooks are not available on this server"
        return InvalidConfig("invalid_webhook", text, "webhook")
    return None


def _check_sections(update: JsonObject) -> InvalidConfig | None:
    for name, section in SECTIONS.items():
        if name in update:
            refusal = section(update[name], name)
            if refusal is not None:
                return refusal
    return check_tools(update.get("tools") or ())


def _check_immutable(before: JsonObject, after: JsonObject) -> InvalidConfig | None:
    for path in _IMMUTABLE:
        if _at(before, path) != _at(after, path):
            text = f"'{path}' cannot be changed after the first session.update"
            return InvalidConfig("immutable_field", text, path)
    return None


def _check_voice(tree: JsonObject, voices: tuple[str, ...]) -> InvalidConfig | None:
    voice = tree["output"]["voice"]
    if voice in SERVICE_VOICES + FORMER_VOICES + voices:
        return None
    names = ", ".join(SERVICE_VOICES + voices)
    text = f"Invalid voice '{voice}'. Must be one of: {names}"
    return InvalidConfig("invalid_value", text, "output.voice")


def _check_silences(tree: JsonObject) -> InvalidConfig | None:
    detection = tree["input"]["turn_detection"] or {}
    shortest, longest = detection.get("min_silence"), detection.get("max_silence")
    if shortest is None or longest is None or shortest < longest:
        return None
    param = "input.turn_detection.min_silence"
    return InvalidConfig(
        "invalid_value", "min_silence must be below max_silence", param
    )


def _merge(tree: JsonObject, update: JsonObject) -> dict[str, Json]:
    """Lay an update over the tree: objects by key, lists and values as a whole."""
    merged = dict(tree)
    for key in ("system_prompt", "greeting"):
        if key in update:
            merged[key] = update[key]
    if "tools" in update:
        merged["tools"] = [_tool(tool) for tool in update["tools"] or ()]
    for name in ("input", "output"):
        section = {**tree[name], **(update.get(name) or {})}
        section["type"] = section["type"] or "audio"
        section["format"] = audio_format(section["format"])
        merged[name] = section
    merged["output"]["voice"] = merged["output"]["voice"] or SERVICE_VOICES[0]
    earlier = tree["input"]["turn_detection"]
    later = merged["input"]["turn_detection"]
    if earlier and later:
        merged["input"]["turn_detection"] = {**earlier, **later}
    return merged


def _tool(tool: JsonObject) -> dict[str, Json]:
    parameters = dict(tool.get("parameters") or {})
    timeout = tool.get("timeout_seconds")
    return {
        "type": "function",
        "name": tool["name"],
        "description": tool.get("description") or "",
        "parameters": {
            "type": "object",
            "properties": {},
            "required": [],
            **parameters,
        },
        "timeout_seconds": _TOOL_TIMEOUT if timeout is None else timeout,
        "execution_mode": tool.get("execution_mode") or "interactive",
        "http": None,
        "response_instructions": tool.get("response_instructions"),
        "deployment_id": None,
        "session_update": tool.get("session_update"),
        "image_tag": None,
    }


def _at(tree: JsonObject, path: str) -> Json:
    value: Json = tree
    for key in path.split("."):
        value = value[key]
    return value
