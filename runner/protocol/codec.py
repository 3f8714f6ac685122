"""Conversion between messages and JSON text, driven by the message classes.

Decoding accepts what the service or its documentation has used at some time (`args` for
`arguments`, `error` for `session.error`, arguments as a JSON string, a timestamp that
is not a number, null for a field that may be missing). Encoding is exact.
"""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, get_args

from runner.errors import RemoteProtocolError
from runner.protocol.messages import (
    ClientMessage,
    InputAudio,
    Message,
    ReplyAudio,
    ServerMessage,
    ToolCall,
    Unknown,
)

CLIENT_MESSAGES: dict[str, type[Any]] = {c.TYPE: c for c in get_args(ClientMessage)}
SERVER_MESSAGES: dict[str, type[Any]] = {
    c.TYPE: c for c in get_args(ServerMessage) if c is not Unknown
}

# The wire names the same thing differently in the two directions.
_AUDIO_KEY = {InputAudio: "audio", ReplyAudio: "data"}
# Names of the preview and of early documentation, still accepted.
_TYPE_ALIASES = {"error": "session.error"}
_FIELD_ALIASES = {"arguments": "args"}

# JSON text in JSON text: as many levels as language models have produced.
_MAX_TEXT_LEVELS = 3
# The audio of a message is only searched for in its first characters.
_AUDIO_HEAD_CHARACTERS = 256
_TIMES = (float, int, type(None))


def encode(message: Message) -> str:
    """Returns the JSON text of a message.

    Client messages omit fields that have their default value; server messages contain
    every field except an unset timestamp, as the service does.
    """
    if isinstance(message, InputAudio):
        audio = b2a_base64(message.pcm, newline=False).decode("ascii")
        return f'{{"type":"input.audio","audio":"{audio}"}}'
    if isinstance(message, Unknown):
        return dumps({"type": message.type, **message.fields})
    kind = type(message)
    keep_defaults = kind.TYPE in SERVER_MESSAGES
    content: dict[str, Any] = {"type": kind.TYPE}
    for field in fields(kind):
        value = getattr(message, field.name)
        if field.name == "unreadable":
            if value is not None:
                content["arguments"] = _loads_or_text(value)
        elif field.type == "bytes":
            content[_AUDIO_KEY[kind]] = b2a_base64(value, newline=False).decode("ascii")
        elif field.name == "timestamp" and value is None:
            continue
        elif keep_defaults or value != field.default:
            content[field.name] = value
    return dumps(content)


def decode_server(text: str | bytes) -> ServerMessage:
    """Reads a message from a server; an unknown type becomes `Unknown`.

    Raises:
        RemoteProtocolError: the text is not a JSON object with a type, or a field of a
            known type is missing or has the wrong type.
    """
    if isinstance(text, str) and (audio := read_audio(text)) is not None:
        return audio
    content, name = _parse(text)
    kind = SERVER_MESSAGES.get(name)
    if kind is None:
        content.pop("type", None)
        if is_too_deep(content):
            raise RemoteProtocolError("Invalid JSON format.", message_type=name)
        return Unknown(name, content)
    if kind is ToolCall:
        return _build(kind, _repair_tool_call(content))  # type: ignore[no-any-return]  # it is a ToolCall
    message: ServerMessage = _build(kind, content)
    return message


def _repair_tool_call(content: dict[str, Any]) -> dict[str, Any]:
    """Returns the content of a tool call with a readable id, name and arguments.

    The service waits for the answer to every call, so no text of a language model makes
    one unreadable: numbers become text, empty arguments an object, JSON text (in a code
    fence or in JSON text, too) is read, and what is left becomes `unreadable`.
    """
    call_id, name = content.get("call_id"), content.get("name")
    if isinstance(call_id, int) and not isinstance(call_id, bool):
        call_id = str(call_id)
    if not isinstance(name, str):
        name = "" if name is None else dumps_value(name)
    arguments = content.get("arguments")
    if arguments is None:
        arguments = content.get(_FIELD_ALIASES["arguments"])
    read = _read_arguments(arguments)
    return {
        **content,
        "call_id": call_id,
        "name": name,
        "arguments": read or {},
        "unreadable": dumps_value(arguments) if read is None else None,
    }


def _loads_or_text(text: str) -> object:
    try:
        return loads(text)
    except (ValueError, RecursionError):
        return text


def _read_arguments(value: object) -> dict[str, Any] | None:
    """Returns the arguments of a tool call as an object; None if they are none."""
    for _ in range(_MAX_TEXT_LEVELS):
        if not isinstance(value, str):
            break
        text = value.strip()
        fenced = text.removeprefix("```json").removeprefix("```").removesuffix("```")
        if not fenced.strip():
            return {}
        try:
            value = loads(fenced)
        except (ValueError, RecursionError):
            return None
    if value is None:
        return {}
    return value if isinstance(value, dict) and not is_too_deep(value) else None


def read_audio(text: str) -> ReplyAudio | None:
    """Reads a plain `reply.audio` without parsing its long string as JSON.

    Returns None for every other text: the general way then decides if it is valid.
    """
    # Nineteen of twenty messages of a call are audio, in chunks of 10 to 50 ms.
    at = text.find('"data":', 0, _AUDIO_HEAD_CHARACTERS)
    start = text.find('"', at + 7, at + 9) + 1 if at > 0 else 0
    end = text.find('"', start) if start else -1
    if end < 0:
        return None
    around = text[:start] + text[end:]
    # Without nesting, escapes and a second key of this name around it, the string is
    # this object's own data.
    if "\\" in around or around.count("{") > 1 or around.count('"data"') > 1:
        return None
    try:
        content = decode(around)
        if content["type"] != "reply.audio":
            return None
        pcm = a2b_base64(text[start:end])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    padding = (text[end - 1] == "=") + (text[end - 2] == "=")
    if (end - start) * 3 != (len(pcm) + padding) * 4:
        return None  # not pure base64: the strict general way reports it
    reply_id, timestamp = content.get("reply_id", ""), content.get("timestamp")
    if type(reply_id) is not str or type(timestamp) not in _TIMES:
        return None
    return ReplyAudio(pcm, reply_id, timestamp)


def decode_client(text: str | bytes) -> ClientMessage:
    """Reads a message from a client.

    Raises:
        RemoteProtocolError: as in `decode_server`, and for unknown types, which the
            service refuses.
    """
    content, name = _parse(text)
    kind = CLIENT_MESSAGES.get(name)
    if kind is None:
        raise RemoteProtocolError(f"Unknown message type: {name}", message_type=name)
    message: ClientMessage = _build(kind, content)
    return message


def _parse(text: str | bytes) -> tuple[dict[str, Any], str]:
    try:
        content = loads(text)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError("Invalid JSON format.") from error
    if not isinstance(content, dict):
        raise RemoteProtocolError("Invalid JSON format.")
    name = content.get("type")
    if name is None and isinstance(content.get("code"), str):
        # The service's gateway sends error objects without a type.
        name = "session.error"
    if not isinstance(name, str):
        raise RemoteProtocolError("Unknown message type: None")
    return content, _TYPE_ALIASES.get(name, name)


def _build(kind: type[Any], content: Mapping[str, Any]) -> Any:
    values: dict[str, Any] = {}
    for field in fields(kind):
        key = _AUDIO_KEY[kind] if field.type == "bytes" else field.name
        value = content.get(key)
        if value is None and key in _FIELD_ALIASES:
            value = content.get(_FIELD_ALIASES[key])
        if value is None:
            if not _has_default(field):
                raise _malformed(kind, f"'{key}' is missing")
            continue
        try:
            values[field.name] = _READ[field.type](value)  # type: ignore[index]  # field.type is the annotation's text under postponed evaluation
        except Base64Error as error:
            raise RemoteProtocolError(
                "Invalid audio data", code="invalid_audio", message_type=kind.TYPE
            ) from error
        except (TypeError, ValueError) as error:
            if key == "timestamp":
                continue  # the documentation shows ISO text; only numbers are used
            raise _malformed(kind, f"'{key}' {error}") from error
    return kind(**values)


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _malformed(kind: type[Any], why: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"{kind.TYPE}: {why}", message_type=kind.TYPE)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("is not text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("is not true or false")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("is not a number")
    return value


def _whole_number(value: object) -> int:
    number = _number(value)
    if number != number or number in (float("inf"), float("-inf")):
        raise TypeError("is not a whole number")
    return int(number)


def _mapping(value: object) -> dict[str, Any]:
    if isinstance(value, str):
        # Some language models' servers pass tool arguments on as JSON text.
        try:
            value = loads(value)
        except (ValueError, RecursionError) as error:
            raise TypeError("is not an object") from error
    if not isinstance(value, dict):
        raise TypeError("is not an object")
    if is_too_deep(value):
        raise TypeError("is nested too deeply")
    return value


def _audio(value: object) -> bytes:
    return b64decode(_text(value).encode("utf-8", "surrogatepass"), validate=True)


_READ: dict[str, Callable[[object], Any]] = {
    "str": _text,
    "str | None": _text,
    "bool": _flag,
    "int | None": _whole_number,
    "float | None": _number,
    "JsonObject": _mapping,
    "bytes": _audio,
}


# Strict JSON: only what can be encoded again.


# Deeper than any tool's schema. A decoded value may be encoded again from a deeper
# stack frame (the echo of a configuration), so the depth must stay far below the
# interpreter's recursion limit.
MAX_DEPTH = 100
_MAX_DIGITS = 300  # a float holds 308

_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_escaped = json.JSONEncoder(separators=(",", ":")).encode


def dumps_value(value: object) -> str:
    """Returns a value from JSON as ASCII text; a marker if it is nested too deeply."""
    return '"too deeply nested"' if is_too_deep(value) else _escaped(value)


def dumps(content: Mapping[str, Any]) -> str:
    """Returns compact JSON that can be encoded as UTF-8."""
    text = _compact(content)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            # JSON can contain half of a surrogate pair, UTF-8 cannot: it stays escaped.
            return _escaped(content)
    return text


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        # It could not be encoded again.
        raise ValueError(f"{text} is beyond measure")
    return number


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"{text[:20]}… is beyond measure")
    return int(text)


decode = json.JSONDecoder(
    parse_constant=_refuse, parse_float=_finite, parse_int=_integer
).decode


def loads(text: str | bytes) -> Any:
    """Reads strict JSON.

    Raises ValueError (also for NaN, 1e400 and integers that do not fit into a float)
    and RecursionError.
    """
    return decode(text if isinstance(text, str) else text.decode())


def is_too_deep(value: object) -> bool:
    """True if lists and objects are nested more than MAX_DEPTH deep; not recursive."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[object] = []
        for each in level:
            if isinstance(each, dict):
                below.extend(each.values())
            elif isinstance(each, list):
                below.extend(each)
        if not below:
            return False
        level = below
    return True
