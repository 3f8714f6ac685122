"""Validation and merging of session.update, as the service does it.

A refused update changes nothing. Shapes that the wire schema does not contain (an
unknown key, `greeting: null`) are `invalid_format`; values of the wrong type or out of
range are `invalid_value` and name their path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from runner.protocol.messages import Json, JsonObject

_TOOL_TIMEOUT = 120  # seconds, the service's default
# Fixed by the first update; the volume of `output` can change.
_IMMUTABLE = ("greeting", "output.type", "output.voice", "output.format")


def apply_update(
    settings: Settings, update: JsonObject, *, first: bool, voices: tuple[str, ...] = ()
) -> Settings | InvalidConfig:
    """Returns the settings after an update, or the error that refuses it.

    `voices` are accepted in addition to those of the service.
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
    """Refuses unknown keys at every level."""
    known: list[tuple[str, Any, Mapping[str, Any]]] = [("", update, SECTIONS)]
    for name, keys in (("input", INPUT), ("output", OUTPUT)):
        known.append((f"{name}.", update.get(name), keys))
    input_section = update.get("input")
    if isinstance(input_section, Mapping):
        detection = input_section.get("turn_detection")
        known.append(("input.turn_detection.", detection, TURN_DETECTION))
    for prefix, value, keys in known:
        if isinstance(value, Mapping):
            for key in value:
                if key not in keys:
                    return _malformed(f"{prefix}{key}")
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
    """Merges an update into the tree: objects by key, lists and values as a whole."""
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


# Checks of the values of session.update: one table for each level, one check for each
# field. A check takes a value and its path and returns an error or None. Null means
# "not set" everywhere, except for the greeting.


@dataclass(frozen=True, slots=True)
class InvalidConfig:
    """The fields of the session.error that refuses an update."""

    code: str
    message: str
    param: str | None = None


Check: TypeAlias = Callable[[Any, str], InvalidConfig | None]

_LANGUAGES = "en es de fr pt it tr nl sv no da fi hi vi ar he ja zh"
# The encodings of audio on the wire, with their samples per second.
RATES = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}


def invalid_value(param: str, why: str) -> InvalidConfig:
    """Returns the error for an invalid value."""
    return InvalidConfig("invalid_value", f"{param} {why}", param)


def text(max_length: int | None = None) -> Check:
    """Returns a check for a string of at most `max_length` characters."""

    def check(value: Any, param: str) -> InvalidConfig | None:
        if not isinstance(value, str):
            return invalid_value(param, "must be a string")
        if max_length is not None and len(value) > max_length:
            return invalid_value(param, f"must be at most {max_length} characters")
        return None

    return _or_null(check)


def choice(*allowed: str) -> Check:
    """Returns a check for one of these strings."""

    def check(value: Any, param: str) -> InvalidConfig | None:
        if value in allowed:
            return None
        return invalid_value(param, f"must be one of: {', '.join(allowed)}")

    return _or_null(check)


def number(low: float, high: float, *, whole: bool = False) -> Check:
    """Returns a check for a number in a closed range."""

    def check(value: Any, param: str) -> InvalidConfig | None:
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            return invalid_value(
                param, f"must be {'an integer' if whole else 'a number'}"
            )
        if not low <= value <= high:  # also refuses NaN
            return invalid_value(param, f"must be between {low:g} and {high:g}")
        return None

    return _or_null(check)


def flag(value: Any, param: str) -> InvalidConfig | None:
    """Checks for true or false."""
    if value is None or isinstance(value, bool):
        return None
    return invalid_value(param, "must be true or false")


def texts(item: Check, max_items: int | None = None) -> Check:
    """Returns a check for a list of strings that pass a check."""

    def check(value: Any, param: str) -> InvalidConfig | None:
        if not isinstance(value, list):
            return invalid_value(param, "must be a list")
        if max_items is not None and len(value) > max_items:
            return invalid_value(param, f"must have at most {max_items} items")
        for index, entry in enumerate(value):
            place = f"{param}[{index}]"
            if entry is None:
                return invalid_value(place, "must be a string")
            refusal = item(entry, place)
            if refusal is not None:
                return refusal
        return None

    return _or_null(check)


def section(fields: Mapping[str, Check]) -> Check:
    """Returns a check for an object; its keys must have been checked before."""

    def check(value: Any, param: str) -> InvalidConfig | None:
        if not isinstance(value, Mapping):
            return invalid_value(param, "must be an object")
        for key, entry in value.items():
            refusal = fields[key](entry, f"{param}.{key}")
            if refusal is not None:
                return refusal
        return None

    return _or_null(check)


def check_audio_format(value: Any, param: str) -> InvalidConfig | None:
    """Checks for an object with an encoding and, optionally, its only rate."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return InvalidConfig(
            "invalid_value", "Audio format must be a JSON object", "format"
        )
    encoding = value.get("encoding", "audio/pcm")
    if encoding not in RATES:
        return invalid_value(f"{param}.encoding", f"must be one of: {', '.join(RATES)}")
    rate = RATES[encoding]
    if value.get("sample_rate", rate) not in (rate, None):
        return invalid_value(f"{param}.sample_rate", f"must be {rate} for {encoding}")
    return None


def check_tools(tools: Sequence[Any]) -> InvalidConfig | None:
    """Checks the list of tools: flat function definitions with distinct names."""
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        refusal = _check_tool(tool, f"tools[{index}]")
        if refusal is not None:
            return refusal
        if tool["name"] in seen:
            return invalid_value(
                f"tools[{index}].name", f"'{tool['name']}' is there twice"
            )
        seen.add(tool["name"])
    return None


def _check_tool(tool: Any, place: str) -> InvalidConfig | None:
    if not isinstance(tool, Mapping):
        return invalid_value(place, "must be an object")
    if tool.get("type") != "function":
        return invalid_value(f"{place}.type", "must be 'function'")
    if not isinstance(tool.get("name"), str) or not tool["name"]:
        return invalid_value(f"{place}.name", "must be a non-empty string")
    if tool.get("http") is not None:
        return invalid_value(f"{place}.http", "is for stored agents only")
    parameters = tool.get("parameters")
    if parameters is not None:
        refusal = _check_parameters(parameters, f"{place}.parameters")
        if refusal is not None:
            return refusal
    for name, check in TOOL.items():
        refusal = check(tool.get(name), f"{place}.{name}")
        if refusal is not None:
            return refusal
    return None


def _check_parameters(parameters: Any, place: str) -> InvalidConfig | None:
    if not isinstance(parameters, Mapping):
        return invalid_value(place, "must be an object")
    properties = parameters.get("properties", {})
    if not isinstance(properties, Mapping):
        return invalid_value(f"{place}.properties", "must be an object")
    for name, schema in properties.items():
        if not isinstance(schema, Mapping | bool):
            return invalid_value(f"{place}.properties.{name}", "must be an object")
    return texts(text())(parameters.get("required"), f"{place}.required")


def _or_null(check: Check) -> Check:
    return lambda value, param: None if value is None else check(value, param)


def _anything(value: Any, param: str) -> InvalidConfig | None:
    """Accepts any value, for fields that are checked elsewhere."""
    del value, param
    return None


def _list(value: Any, param: str) -> InvalidConfig | None:
    if value is None or isinstance(value, list):
        return None
    return invalid_value(param, "must be a list")


TOOL: Mapping[str, Check] = {
    "description": text(),
    "timeout_seconds": number(1, 300),
    "execution_mode": choice("interactive", "hold"),
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
    "format": check_audio_format,
    "turn_detection": section(TURN_DETECTION),
    "keyterms": texts(text(), max_items=100),
    "transcription_mode": choice("min_latency", "balanced", "max_accuracy"),
    "continuous_partials": flag,
    "transcription_prompt": text(max_length=1_750),
    "language_codes": texts(choice(*_LANGUAGES.split())),
    "voice_focus": choice("near-field", "far-field"),
    "voice_focus_threshold": number(0, 1),
}
OUTPUT: Mapping[str, Check] = {
    "type": choice("audio", "text"),
    "voice": text(),
    "format": check_audio_format,
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


# The settings of a session.


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """Settings of turn detection, in seconds; None leaves a value to the server."""

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
        """True if replies have audio (`output.type` is not text)."""
        return bool(self.tree["output"]["type"] == "audio")

    @property
    def volume(self) -> float:
        """The volume, 0 to 1."""
        volume = self.tree["output"]["volume"]
        return 1.0 if volume is None else volume / 100

    @property
    def turn_detection(self) -> TurnDetection:
        listed = self.tree["input"]["turn_detection"] or {}
        # The service interrupts at once in its fastest mode, and otherwise after half a
        # second of speech, so that a cough or "mhm" does not interrupt a reply.
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

    @property
    def has_hold_tools(self) -> bool:
        """True if calls of some tool run in silence."""
        return any(self.is_held(tool["name"]) for tool in self.tools)

    def is_held(self, name: str) -> bool:
        """True if calls of this tool run in silence (`execution_mode: hold`)."""
        return any(
            tool["name"] == name and tool["execution_mode"] == "hold"
            for tool in self.tools
        )

    def tool_timeout(self, name: str) -> float:
        """Returns the timeout of this tool's result, in seconds."""
        for tool in self.tools:
            if tool["name"] == name:
                return float(tool["timeout_seconds"])
        return float(_TOOL_TIMEOUT)

    def echo(self, session_id: str) -> dict[str, Json]:
        """Returns the `config` of session.updated and session.ready."""
        return {"id": session_id, **self.tree}


def bytes_per_ms(encoding: str) -> float:
    """Returns the bytes per millisecond of audio in a wire encoding."""
    return RATES[encoding] * (2 if encoding == "audio/pcm" else 1) / 1000


def default_settings() -> Settings:
    """Returns the settings before the first update: unset options are None."""
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


# Names of the service's voices. All of them are spoken by the one local voice, so that
# clients that configure a current or former voice of the service get a session.


_CURRENT = """
    alba anna charles estelle eve george giovanni iris jane jean juergen lola mary
    michael paul rafael reid vera
"""
_FORMER = """
    ivy james tyler winter bella david kyle helen martha river emma victor eleanor
    arjun dmitri pierre giulia luca lucia mateo diego sam mia jack sophie oliver ethan
    mei lukas lena mina joon ren hana claire dawn josh grace pete autumn
"""

SERVICE_VOICES = tuple(_CURRENT.split())
FORMER_VOICES = tuple(_FORMER.split())
