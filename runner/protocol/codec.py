"""JSON text to messages and back, one generic way driven by the message classes.

Reading is liberal where the service and its documentation have disagreed over time
(`args` for `arguments`, `error` for `session.error`, arguments as a JSON string, a
timestamp that is no number, null for a field that may be missing); writing is exact.
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

# The type and the ids come before the sound, if they do, in fewer characters than this.
_AUDIO_HEAD = 256
_TIMES = (float, int, type(None))


def encode(message: Message) -> str:
    """Return the JSON text of a message.

    Client messages leave out fields that hold their default; server messages spell
    every field but an unset timestamp, as the service does.
    """
    if isinstance(message, InputAudio):
        audio = b2a_base64(message.pcm, newline=False).decode("ascii")
        return f'{{"type":"input.audio","audio":"{audio}"}}'
    if isinstance(message, Unknown):
        return dumps({"type": message.type, **message.fields})
    kind = type(message)
    spell_defaults = kind.TYPE in SERVER_MESSAGES
    content: dict[str, Any] = {"type": kind.TYPE}
    for field in fields(kind):
        value = getattr(message, field.name)
        if field.type == "bytes":
            content[_AUDIO_KEY[kind]] = b2a_base64(value, newline=False).decode("ascii")
        elif field.name == "timestamp" and value is None:
            continue
        elif spell_defaults or value != field.default:
            content[field.name] = value
    return dumps(content)


def decode_server(text: str | bytes) -> ServerMessage:
    """Read a message that a server sent.

    Raises:
        RemoteProtocolError: the text is no JSON object with a type, or a field of a
            known type is missing or mistyped. Unknown types are `Unknown`.
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
    message: ServerMessage = _build(kind, content)
    return message


def read_audio(text: str) -> ReplyAudio | None:
    """Read a usual `reply.audio` without a search for the end of its long string.

    None for everything else and for whatever is not plain: no fast way decides what is
    right. Nineteen of twenty messages in a call are sound, in pieces of 10 to 50 ms.
    """
    at = text.find('"data":', 0, _AUDIO_HEAD)
    start = text.find('"', at + 7, at + 9) + 1 if at > 0 else 0
    end = text.find('"', start) if start else -1
    if end < 0:
        return None
    around = text[:start] + text[end:]
    # Nothing nested and nothing escaped around it, and no other key of this name: what
    # was found is this object's own data.
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
        return None  # something in it is no base64: the strict way says so, and slower
    reply_id, timestamp = content.get("reply_id", ""), content.get("timestamp")
    if type(reply_id) is not str or type(timestamp) not in _TIMES:
        return None
    return ReplyAudio(pcm, reply_id, timestamp)


def decode_client(text: str | bytes) -> ClientMessage:
    """Read a message that a client sent.

    Raises:
        RemoteProtocolError: as in `decode_server`, and also for unknown types, which
            the service refuses.
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
        # Seen from the service's gateway: an error object without a type.
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
                continue  # documentation shows ISO text; only epoch seconds are used
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


# JSON as the wire has it: only what can be written again, from anywhere.


# Deeper than any tool's schema. What is read may be written again from further down the
# stack (the echo of a configuration), so it must stay far from the interpreter's limit.
MAX_DEPTH = 100
_MAX_DIGITS = 300  # a float holds 308

_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_escaped = json.JSONEncoder(separators=(",", ":")).encode


def dumps(content: Mapping[str, Any]) -> str:
    """Return compact JSON that goes through a socket as UTF-8."""
    text = _compact(content)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            # JSON can say half of a surrogate pair, UTF-8 cannot: it stays escaped.
            return _escaped(content)
    return text


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        # It could not be written again.
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
    """Read what JSON can say and Python can measure.

    Raises ValueError (also for NaN, 1e400 and integers that no float holds) and
    RecursionError.
    """
    return decode(text if isinstance(text, str) else text.decode())


def is_too_deep(value: object) -> bool:
    """Whether lists and objects lie more than MAX_DEPTH deep; itself not recursive."""
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
