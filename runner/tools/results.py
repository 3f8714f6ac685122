"""Encodes the results and failures of tools as JSON for the model.

None bool str int float list dict   unchanged; NaN and infinity are null
tuple, range, deque, dict views     list
set, frozenset                      sorted list
named tuple, dataclass, attrs       object
`model_dump()`, `to_dict()`         object, or what the method returns
rows with `keys()` (sqlite3)        object
numpy scalars and arrays            number, text, list (`tolist()`)
datetime, date, time                ISO 8601 text
timedelta                           seconds
Decimal, UUID, Path, IP address     text
Enum                                its value
bytes                               text, if they are UTF-8
"""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import numbers
import re
import sysconfig
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import PurePath
from types import TracebackType
from typing import Any
from uuid import UUID

from runner.errors import ToolError
from runner.tools.tool import ToolOutcome

# Deeper than any useful result, and far below the recursion limit of Python.
_MAX_DEPTH = 100

_TEXT_TYPES = (
    *(Decimal, UUID, PurePath),
    *(IPv4Address, IPv4Interface, IPv4Network),
    *(IPv6Address, IPv6Interface, IPv6Network),
)


class NotSerializable(Exception):
    """Raised for a value without JSON text; the message is for the model."""


def encode_result(
    value: object, *, limit: int, redact: Callable[[str], str] = str
) -> str:
    """Returns `value` as JSON text of at most `limit` bytes in UTF-8.

    `redact` is applied to every string. Raises `NotSerializable` for a value that JSON
    cannot express or that is too long. It is not truncated: a model would take half a
    list for the whole.
    """
    plain = _Encoder(limit, redact).plain(value, 0)
    try:
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
    except UnicodeEncodeError:
        # A lone surrogate is valid in JSON as an escape, but not in UTF-8.
        text = json.dumps(plain, separators=(",", ":"))
        size = len(text)
    except ValueError as error:  # an integer of more than 4,300 digits
        raise NotSerializable("the result holds a number that is too long") from error
    if size > limit:
        raise _too_long(limit)
    return text


def _too_long(limit: int) -> NotSerializable:
    return NotSerializable(f"the result is longer than {limit // 1024} KiB")


class _Encoder:
    """Converts one result to JSON values; raises as soon as it exceeds the limit."""

    def __init__(self, limit: int, redact: Callable[[str], str]) -> None:
        self._limit = limit
        self._redact = redact
        self._size = 0  # a lower bound of the text's length so far
        self._open: set[int] = set()  # ids of the containers around the current value

    def plain(self, value: object, depth: int) -> Any:
        if isinstance(value, enum.Enum):
            return self.plain(value.value, depth)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, numbers.Integral):
            self._grow(1)
            return int(value)
        if isinstance(value, numbers.Real):
            self._grow(1)
            return float(value) if math.isfinite(value) else None
        if isinstance(value, datetime | date | time):
            return value.isoformat()
        if isinstance(value, timedelta):
            return value.total_seconds()
        if isinstance(value, _TEXT_TYPES):
            return self._text(str(value))
        if isinstance(value, bytes | bytearray | memoryview):
            return self._bytes(bytes(value))
        return self._container(value, depth)

    def _container(self, value: object, depth: int) -> Any:
        if depth >= _MAX_DEPTH:
            raise NotSerializable("the result is nested too deeply")
        if id(value) in self._open:
            raise NotSerializable("the result contains itself")
        self._open.add(id(value))
        try:
            return self._opened(value, depth + 1)
        finally:
            self._open.discard(id(value))

    def _opened(self, value: object, depth: int) -> Any:
        """Returns the content of a container."""
        if isinstance(value, Mapping):
            return self._object(value, depth)
        fields = None if isinstance(value, type) else _fields(value)
        if fields is not None:
            return self._object(fields, depth)
        if isinstance(value, Set) and not isinstance(value, _KeysAndItems):
            members = self._list(value, depth)
            return sorted(members, key=lambda member: json.dumps(member))
        converted = None if isinstance(value, type) else _convert(value)
        if converted is not None:
            return self.plain(converted(), depth)
        if isinstance(value, Collection) and not isinstance(value, type):
            return self._list(value, depth)
        raise NotSerializable(
            f"the result holds a {type(value).__name__}, which is not data"
        )

    def _list(self, values: Iterable[object], depth: int) -> list[Any]:
        plain = []
        for value in values:
            self._grow(2)
            plain.append(self.plain(value, depth))
        return plain

    def _object(self, value: Mapping[Any, object], depth: int) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for key, member in value.items():
            self._grow(3)
            name = self._key(key)
            if name in plain:
                raise NotSerializable(f"the result has two entries {name[:40]!r}")
            plain[name] = self.plain(member, depth)
        return plain

    def _key(self, key: object) -> str:
        name = self.plain(key, 0)
        if isinstance(name, str):
            return name
        if isinstance(name, list | dict):
            raise NotSerializable(f"the result has a {type(key).__name__} as a key")
        return json.dumps(name)  # as the json module does for numbers, True and None

    def _text(self, text: str) -> str:
        self._grow(len(text))
        return self._redact(text)

    def _bytes(self, value: bytes) -> str:
        self._grow(len(value) // 4)  # at most four bytes a character
        try:
            return self._text(value.decode())
        except UnicodeDecodeError as error:
            raise NotSerializable("the result holds bytes that are not text") from error

    def _grow(self, characters: int) -> None:
        self._size += characters
        if self._size > self._limit:
            raise _too_long(self._limit)


# Views of a dict keep its order; they are sets, too.
_KeysAndItems: tuple[type, ...] = (type({}.keys()), type({}.items()))


def _fields(value: object) -> Mapping[str, object] | None:
    """Returns the fields of an object with names, None if it is not one."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: getattr(value, name) for name in names}
    if isinstance(value, tuple):
        as_dict = getattr(value, "_asdict", None)
        return as_dict() if callable(as_dict) else None
    attributes = getattr(type(value), "__attrs_attrs__", None)  # of the package attrs
    if attributes is not None:
        return {each.name: getattr(value, each.name) for each in attributes}
    keys = getattr(value, "keys", None)
    if callable(keys) and hasattr(value, "__getitem__"):
        return {key: value[key] for key in keys()}
    return None


def _convert(value: object) -> Callable[[], object] | None:
    """Returns the function that makes data of an object, None if it has none.

    These are the conventions of pydantic, pandas and numpy.
    """
    dump, to_dict, to_list = (
        method if callable(method := getattr(value, name, None)) else None
        for name in ("model_dump", "to_dict", "tolist")
    )
    if dump is not None:
        return lambda: _call(dump, mode="json")
    if to_dict is not None:  # of a table: an object for each row
        return lambda: _call(to_dict, orient="records")
    return to_list


def _call(method: Callable[..., object], **options: object) -> object:
    try:
        return method(**options)
    except (TypeError, ValueError):  # another class has the method without the option
        return method()


# Failures: a short message for the model, and details for the log.

_MAX_FAILURE_LENGTH = 300

# An absolute path of at least two parts: POSIX, Windows or UNC; not within a URL.
_PATH = re.compile(
    r"""(?<![\w/:.\\])(?:[A-Za-z]:(?=[\\/])|\\)?(?:[\\/][^\s\\/'":,;()]+){2,}[\\/]?"""
)


def failure(text: str, detail: str | None = None) -> ToolOutcome:
    """Returns the outcome of a failed call; `text` is one sentence for the model."""
    # Unprintable text may hold a lone surrogate, which UTF-8 cannot encode.
    encoded = json.dumps(
        {"error": text}, ensure_ascii=not text.isprintable(), separators=(",", ":")
    )
    return ToolOutcome(encoded, is_error=True, detail=detail)


def describe_failure(
    name: str, error: BaseException, redact: Callable[[str], str]
) -> ToolOutcome:
    """Returns the outcome for an exception of the tool `name`.

    The model gets the text of `ToolError` and `NotSerializable`, and of other
    exceptions the first line without file paths: authors write it for the caller
    (`ValueError("we are closed on Mondays")`).
    """
    # Redacted before it is truncated, so that no part of a secret remains.
    message = redact(_message(error))
    place = _place(error.__traceback__)
    kind = type(error).__name__
    detail = f"{kind}: {message}" if message else kind
    if place:
        detail = f"{detail} ({place})"
    if isinstance(error, ToolError):
        detail = f"{message}; {error.hint}" if error.hint else message
        text = message
    elif isinstance(error, NotSerializable):
        text = f"{name} failed: {message}"
    elif isinstance(error, SystemExit | KeyboardInterrupt):
        text = f"{name} failed: it tried to end the program"
    else:
        first = message.strip().partition("\n")[0]
        text = f"{name} failed: {_PATH.sub('a file', first) or kind}"
    return failure(text[:_MAX_FAILURE_LENGTH], redact(detail))


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # without the path that str() adds
    if isinstance(error, KeyError) and len(error.args) == 1:
        return f"no entry {error.args[0]!r}"
    try:
        return str(error)
    except Exception:  # of the tool's own __str__
        return ""


def _place(traceback: TracebackType | None) -> str:
    """Returns file:line of the innermost code that is not Python's or installed."""
    installed = tuple(sysconfig.get_paths()[key] for key in ("stdlib", "purelib"))
    place = ""
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if not filename.startswith((*installed, "<")):
            place = f"{filename}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
