"""Conversion of agents that other tools describe: Vapi, Retell, ElevenLabs and others.

The format is recognized by its keys. Each value that has a counterpart is converted;
each other one becomes a note with its line, so that nothing is lost silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runner.config.spelling import snake

if TYPE_CHECKING:
    from runner.config.yaml.nodes import Pointer
    from runner.config.yaml.parser import Document


@dataclass(frozen=True, slots=True)
class Note:
    """A part that was not converted, with the reason; `path` is dotted."""

    line: int
    path: str
    text: str


@dataclass(slots=True)
class Conversion:
    """The result: `agent` is the content of an agent file in the order of its keys.

    `functions` are tools that need code in Python: name and description.
    """

    format: str
    agent: dict[str, Any] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


def recognize(value: Any) -> str | None:
    """Returns the name of the format of another tool; None if it is none of them."""
    for name, (fits, _) in _FORMATS.items():
        if fits(value):
            return name
    return None


def convert(document: Document) -> Conversion | None:
    """Converts an agent of another tool; None if the format is not recognized."""
    name = recognize(document.value)
    if name is None:
        return None
    _, read = _FORMATS[name]
    reader = _Reader(document, Conversion(name))
    read(reader)
    return reader.finish()


# Keys that describe the object in the vendor's account, or that every call has.
_IRRELEVANT = frozenset(
    (
        *("id", "org_id", "agent_id", "llm_id", "created_at", "updated_at", "version"),
        *("version_title", "is_published", "last_modification_timestamp", "channel"),
        *("is_server_url_secret_set", "object", "type"),
    )
)
_REASONS = {
    "transcriber": "the service has its own speech recognition; see `transcription`",
    "model": "the service chooses the language model; `local.llm` sets a local one",
    "llm": "the service chooses the language model; `local.llm` sets a local one",
    "temperature": "vagent has no setting for it",
    "voice": "voices differ; choose one of the service's with `voice`",
    "voice_id": "voices differ; choose one of the service's with `voice`",
    "tts": "voices differ; choose one of the service's with `voice`",
    "knowledge_base": "offer the knowledge by a tool, or copy it into the prompt",
    "sub_agents": "vagent cannot transfer the caller to another agent",
    "transfer_call": "vagent cannot transfer a call",
    "toolsets": "name the tools one by one, with `python` or `http`",
    "hooks": "a reminder after silence is `session.idle`",
    "end_call_message": "describe the goodbye in the prompt",
    "end_call_phrases": "describe in the prompt when to use end_call",
    "voicemail_message": "vagent does not detect voicemail",
    "analysis_plan": "vagent does not analyze calls afterwards",
    "post_call_analysis_data": "vagent does not analyze calls afterwards",
    "server_url": "vagent runs the tools itself; no events are sent to a server",
    "webhook_url": "vagent runs the tools itself; no events are sent to a server",
    "states": "an agent has one prompt; describe the states in it",
    "tool_ids": "the tools are stored in the account; export and convert them",
}
_DEFAULT_REASON = "agent files have no counterpart"

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
_HOLD = "${%s}"


class _Reader:
    """Reads values of a document, and remembers which were read."""

    def __init__(self, document: Document, result: Conversion) -> None:
        self.document = document
        self.result = result
        self._read: set[Pointer] = set()

    def get(self, path: Pointer) -> Any:
        """Returns a value without marking it as read; None if there is none."""
        value = self.document.value
        for part in path:
            if isinstance(value, Mapping) and isinstance(part, str):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int):
                value = value[part] if part < len(value) else None
            else:
                return None
        return value

    def take(self, *path: str | int, kind: type | tuple[type, ...] = str) -> Any:
        """Returns a value of this type and marks it as read; None if there is none."""
        value = self.get(path)
        if isinstance(value, bool) and bool not in _kinds(kind):
            return None
        if not isinstance(value, kind):
            return None
        self._read.add(path)
        return value

    def skip(self, *path: str | int) -> None:
        """Marks a value as read that needs no counterpart."""
        self._read.add(path)

    def note(self, path: Pointer, text: str) -> None:
        """Adds a note for a value, which counts as read."""
        self._read.add(path)
        line, _ = self.document.source.point(self.document.key_span(path).start)
        dotted = ".".join(map(str, path))
        self.result.notes.append(Note(line, dotted, text))

    def set(self, value: Any, *keys: str) -> None:
        """Sets a value of the agent file, None excepted."""
        if value is None:
            return
        target = self.result.agent
        for key in keys[:-1]:
            target = target.setdefault(key, {})
        target[keys[-1]] = value

    def text(self, *path: str | int) -> str | None:
        """Returns a text whose `{{placeholders}}` have become variables."""
        value = self.take(*path)
        return None if value is None else self.translate(str(value))

    def translate(self, text: str, parameters: Mapping[str, Any] | None = None) -> str:
        """Replaces `{{name}}` by `${name}`, or by `{name}` for an argument."""

        def replace(found: re.Match[str]) -> str:
            name = re.sub(r"\W+", "_", found[1]).strip("_").lower()
            if parameters and found[1] in parameters:
                return f"{{{found[1]}}}"
            if not name or name[0].isdigit():
                name = f"value_{name}"
            variables = self.result.agent.setdefault("variables", {})
            variables.setdefault(name, {"description": f"was {{{{{found[1]}}}}}"})
            return _HOLD % name

        return _PLACEHOLDER.sub(replace, text.replace("${", "$${"))

    def add_tool(self, tool: Mapping[str, Any]) -> None:
        """Adds a tool to the agent, once."""
        tools = self.result.agent.setdefault("tools", [])
        if tool not in tools:
            tools.append(dict(tool))

    def finish(self) -> Conversion:
        """Returns the result, with a note for each value that was not read."""
        for path in self._unread((), self.document.value):
            key = next((each for each in reversed(path) if isinstance(each, str)), "")
            self.note(path, _REASONS.get(snake(key), _DEFAULT_REASON))
        self.result.notes.sort(key=lambda note: note.line)
        return self.result

    def _unread(self, path: Pointer, value: Any) -> Iterator[Pointer]:
        if path in self._read:
            return
        inside = [each for each in self._read if each[: len(path)] == path]
        if not inside and path:
            last = path[-1]
            if not (isinstance(last, str) and snake(last) in _IRRELEVANT):
                yield path
            return
        if isinstance(value, Mapping):
            for key, each in value.items():
                yield from self._unread((*path, key), each)
        elif isinstance(value, list):
            for index, each in enumerate(value):
                yield from self._unread((*path, index), each)


def _kinds(kind: type | tuple[type, ...]) -> tuple[type, ...]:
    return kind if isinstance(kind, tuple) else (kind,)


def _name(text: object) -> str:
    """Returns a valid name of an agent."""
    name = re.sub(r"[^a-z0-9]+", "-", str(text or "").lower()).strip("-")
    return name[:64].strip("-") or "converted"


def _seconds(value: float, unit: float = 1.0) -> str:
    seconds = value * unit
    return f"{round(seconds * 1000)}ms" if seconds < 1 else f"{seconds:g}s"


_NUMBER = (int, float)


def _read_function(reader: _Reader, path: Pointer, at: Pointer) -> None:
    """Converts a function of OpenAI's form at `at`, the tool being at `path`."""
    name = reader.take(*at, "name")
    if name is None:
        return
    tool: dict[str, Any] = {"name": name}
    tool["python"] = f"tools/converted.py:{re.sub(r'[^A-Za-z0-9_]', '_', name)}"
    description = reader.text(*at, "description")
    parameters = reader.take(*at, "parameters", kind=dict)
    tool |= _given(description=description, parameters=_parameters(parameters))
    url = reader.get((*path, "server", "url"))
    if isinstance(url, str):
        text = "the function ran on your server in the vendor's protocol; write it "
        reader.note((*path, "server"), f"{text}in tools/converted.py, or use `http`")
    for key in ("strict", "async"):
        reader.skip(*at, key)
        reader.skip(*path, key)
    messages = reader.get((*path, "messages"))
    for index, each in enumerate(messages if isinstance(messages, list) else ()):
        if isinstance(each, dict) and each.get("type") == "request-start":
            tool["announce"] = reader.text(*path, "messages", index, "content")
            reader.skip(*path, "messages", index)
    reader.result.functions[tool["python"].partition(":")[2]] = description or name
    reader.add_tool(_given(**tool))


def _parameters(schema: Any) -> dict[str, Any] | None:
    if not isinstance(schema, dict):
        return None
    return {"type": "object", "properties": {}, **schema}


def _given(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def _items(reader: _Reader, *path: str | int) -> list[Pointer]:
    value = reader.get(path)
    return [(*path, n) for n in range(len(value))] if isinstance(value, list) else []


# ------------------------------------------------------------------ Vapi


def _is_vapi(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    model = value.get("model")
    return "firstMessage" in value or (
        isinstance(model, dict) and isinstance(model.get("messages"), list)
    )


def _read_vapi(reader: _Reader) -> None:
    reader.set(_name(reader.take("name")), "name")
    prompts = []
    for path in _items(reader, "model", "messages"):
        if reader.get((*path, "role")) == "system":
            reader.skip(*path, "role")
            prompts.append(reader.text(*path, "content") or "")
    prompts.append(reader.text("model", "systemPrompt") or "")
    reader.set("\n\n".join(each for each in prompts if each) or None, "prompt")
    reader.set(reader.text("firstMessage"), "greeting")
    reader.skip("model", "provider")
    keywords = reader.take("transcriber", "keyterm", kind=list) or reader.take(
        "transcriber", "keywords", kind=list
    )
    if keywords:
        # Deepgram's keywords can have a weight: `Acme:2`.
        reader.set([str(each).partition(":")[0] for each in keywords], "key_terms")
    language = reader.take("transcriber", "language")
    reader.set([language[:2].lower()] if language else None, "languages")
    seconds = reader.take("maxDurationSeconds", kind=_NUMBER)
    reader.set(_seconds(seconds) if seconds else None, "session", "max_duration")
    seconds = reader.take("silenceTimeoutSeconds", kind=_NUMBER)
    reader.set(_seconds(seconds) if seconds else None, "session", "idle", "end_after")
    for path in _items(reader, "model", "tools"):
        _read_vapi_tool(reader, path)
    if reader.take("endCallFunctionEnabled", kind=bool):
        reader.add_tool({"plugin": "end_call"})


def _read_vapi_tool(reader: _Reader, path: Pointer) -> None:
    match reader.get((*path, "type")):
        case "endCall":
            reader.skip(*path)
            reader.add_tool({"plugin": "end_call"})
        case "function":
            reader.skip(*path, "type")
            _read_function(reader, path, (*path, "function"))
        case "apiRequest":
            reader.skip(*path, "type")
            _read_http(reader, path, body=(*path, "body"))
        case other:
            reader.note(path, f"the tool type {other!r} has no counterpart")


def _read_http(reader: _Reader, path: Pointer, body: Pointer) -> None:
    """Converts a tool with `name`, `description`, `url`, `method` and `headers`."""
    schema = reader.take(*body, kind=dict)
    name = reader.take(*path, "name") or "request"
    parameters = _parameters(schema)
    properties = parameters["properties"] if parameters else {}
    url = reader.translate(reader.take(*path, "url") or "https://", properties)
    if parameters is not None:  # an argument in the URL is always needed
        needed = [each for each in properties if f"{{{each}}}" in url]
        required = dict.fromkeys([*parameters.get("required", ()), *needed])
        parameters |= {"required": list(required)} if required else {}
    headers = reader.take(*path, "headers", kind=dict)
    http = _given(
        method=(reader.take(*path, "method") or "").upper() or None,
        url=url,
        headers={key: reader.translate(str(each)) for key, each in headers.items()}
        if headers
        else None,
    )
    milliseconds = reader.take(*path, "timeout_ms", kind=_NUMBER)
    seconds = reader.take(*path, "timeoutSeconds", kind=_NUMBER)
    timeout = _seconds(milliseconds, 0.001) if milliseconds else None
    reader.add_tool(
        _given(
            name=re.sub(r"[^A-Za-z0-9_]", "_", name),
            description=reader.text(*path, "description") or f"Calls {url}.",
            parameters=parameters,
            http=http,
            timeout=_seconds(seconds) if seconds else timeout,
            announce=reader.text(*path, "execution_message_description"),
        )
    )


# ------------------------------------------------------------------ Retell


def _is_retell(value: Any) -> bool:
    keys = {"general_prompt", "general_tools", "retellLlmData", "response_engine"}
    return isinstance(value, dict) and bool(keys & value.keys())


def _read_retell(reader: _Reader) -> None:
    reader.set(_name(reader.take("agent_name")), "name")
    inner: Pointer = ("retellLlmData",) if reader.get(("retellLlmData",)) else ()
    reader.set(reader.text(*inner, "general_prompt"), "prompt")
    reader.set(reader.text(*inner, "begin_message") or None, "greeting")
    reader.set(reader.take("boosted_keywords", kind=list) or None, "key_terms")
    language = reader.take("language")
    if language and language != "multi":
        reader.set([language[:2].lower()], "languages")
    for key, unit, target in (
        ("max_call_duration_ms", 0.001, ("session", "max_duration")),
        ("reminder_trigger_ms", 0.001, ("session", "idle", "nudge_after")),
        ("end_call_after_silence_ms", 0.001, ("session", "idle", "end_after")),
    ):
        value = reader.take(key, kind=_NUMBER)
        reader.set(_seconds(value, unit) if value else None, *target)
    for path in _items(reader, *inner, "general_tools"):
        match reader.get((*path, "type")):
            case "end_call":
                reader.skip(*path)
                reader.add_tool({"plugin": "end_call"})
            case "custom":
                for key in ("type", "speak_during_execution", "speak_after_execution"):
                    reader.skip(*path, key)
                _read_http(reader, path, body=(*path, "parameters"))
            case other:
                reader.note(path, f"the tool type {other!r} has no counterpart")


# -------------------------------------------------------------- ElevenLabs


def _is_elevenlabs(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(
        value.get("conversation_config"), dict
    )


def _read_elevenlabs(reader: _Reader) -> None:
    agent: Pointer = ("conversation_config", "agent")
    prompt: Pointer = (*agent, "prompt")
    reader.set(_name(reader.take("name")), "name")
    reader.set(reader.text(*prompt, "prompt"), "prompt")
    reader.set(reader.text(*agent, "first_message") or None, "greeting")
    language = reader.take(*agent, "language")
    reader.set([language[:2].lower()] if language else None, "languages")
    terms = reader.take("conversation_config", "asr", "keywords", kind=list)
    reader.set(terms or None, "key_terms")
    limit = ("conversation_config", "conversation", "max_duration_seconds")
    seconds = reader.take(*limit, kind=_NUMBER)
    reader.set(_seconds(seconds) if seconds else None, "session", "max_duration")
    for path in _items(reader, *prompt, "tools"):
        _read_elevenlabs_tool(reader, path)


def _read_elevenlabs_tool(reader: _Reader, path: Pointer) -> None:
    kind, name = reader.get((*path, "type")), reader.get((*path, "name"))
    if kind == "system" and name == "end_call":
        reader.skip(*path)
        reader.add_tool({"plugin": "end_call"})
    elif kind == "client":
        reader.skip(*path, "type")
        _read_function(reader, path, path)
    elif kind == "webhook":
        reader.skip(*path, "type")
        _read_webhook(reader, path)
    else:
        reader.note(path, f"the tool {name!r} of type {kind!r} has no counterpart")


def _read_webhook(reader: _Reader, path: Pointer) -> None:
    api: Pointer = (*path, "api_schema")
    properties: dict[str, Any] = {}
    required: list[str] = []
    for part in ("path_params_schema", "query_params_schema", "request_body_schema"):
        schema = reader.take(*api, part, kind=dict) or {}
        own = schema.get("properties", schema if part.startswith("path") else {})
        properties |= {key: each for key, each in own.items() if isinstance(each, dict)}
        needed = list(own) if part.startswith("path") else schema.get("required", [])
        required += [each for each in needed if each in properties]
    url = reader.take(*api, "url") or "https://"
    headers = reader.take(*api, "request_headers", kind=dict) or {}
    plain = {key: each for key, each in headers.items() if isinstance(each, str)}
    for key in headers.keys() - plain.keys():
        text = "a secret of the account; set the header to ${env:NAME}"
        reader.note((*api, "request_headers", key), text)
    seconds = reader.take(*path, "response_timeout_secs", kind=_NUMBER)
    name = reader.take(*path, "name") or "request"
    parameters = {"type": "object", "properties": properties}
    if required:
        parameters["required"] = list(dict.fromkeys(required))
    reader.add_tool(
        _given(
            name=re.sub(r"[^A-Za-z0-9_]", "_", name),
            description=reader.text(*path, "description") or f"Calls {url}.",
            parameters=parameters,
            http=_given(
                method=(reader.take(*api, "method") or "").upper() or None,
                url=reader.translate(url, properties),
                headers=plain or None,
            ),
            timeout=_seconds(seconds) if seconds else None,
        )
    )


# ------------------------------------------------- docker-agent, ADK, OpenAI


def _is_docker_agent(value: Any) -> bool:
    agents = value.get("agents") if isinstance(value, dict) else None
    return isinstance(agents, dict) and any(
        isinstance(each, dict) and "instruction" in each for each in agents.values()
    )


def _read_docker_agent(reader: _Reader) -> None:
    agents = reader.get(("agents",))
    root = "root" if "root" in agents else next(iter(agents))
    reader.set(_name(root), "name")
    reader.skip("version")
    reader.set(reader.text("agents", root, "instruction"), "prompt")
    reader.set(reader.text("agents", root, "welcome_message"), "greeting")
    for other in agents:
        if other != root:
            reader.note(
                ("agents", other), "an agent file has one agent; convert it too"
            )


def _is_adk(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and "instruction" in value
        and bool({"agent_class", "model", "sub_agents", "description"} & value.keys())
    )


def _read_adk(reader: _Reader) -> None:
    reader.set(_name(reader.take("name")), "name")
    reader.skip("agent_class")
    reader.set(reader.text("instruction"), "prompt")
    for path in _items(reader, "tools"):
        name = reader.get((*path, "name")) or reader.get(path)
        reader.note(path, f"write the tool {name!r} with `python` or `http`")


def _openai_tools(value: Any) -> list[Any]:
    tools = value.get("tools") if isinstance(value, dict) else value
    return tools if isinstance(tools, list) else []


def _is_openai(value: Any) -> bool:
    tools = _openai_tools(value)
    return bool(tools) and all(
        isinstance(each, dict) and each.get("type") == "function" for each in tools
    )


def _read_openai(reader: _Reader) -> None:
    is_list = isinstance(reader.document.value, list)
    prefix: Pointer = () if is_list else ("tools",)
    reader.set(_name(None if is_list else reader.take("name")), "name")
    if not is_list:
        prompt = reader.text("instructions") or reader.text("prompt")
        reader.set(prompt, "prompt")
        for key in ("version", "modalities", "tool_choice"):
            reader.skip(key)
    for path in _items(reader, *prefix):
        reader.skip(*path, "type")
        nested = isinstance(reader.get((*path, "function")), dict)
        _read_function(reader, path, (*path, "function") if nested else path)


_FORMATS: dict[str, tuple[Callable[[Any], bool], Callable[[_Reader], None]]] = {
    "ElevenLabs": (_is_elevenlabs, _read_elevenlabs),
    "Retell": (_is_retell, _read_retell),
    "Vapi": (_is_vapi, _read_vapi),
    "docker-agent": (_is_docker_agent, _read_docker_agent),
    "OpenAI": (_is_openai, _read_openai),
    "ADK": (_is_adk, _read_adk),
}
