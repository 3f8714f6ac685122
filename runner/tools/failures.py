"""Failed calls in words: short for the model, with the place for the person."""

from __future__ import annotations

import json
import re
import sysconfig
from collections.abc import Callable
from types import TracebackType

from runner.errors import ToolError
from runner.tools.results import NotSerializable
from runner.tools.tool import ToolOutcome

_TEXT_LIMIT = 300

# An absolute path of two or more parts: POSIX, Windows or UNC; not within a URL.
_PATH = re.compile(
    r"""(?<![\w/:.\\])(?:[A-Za-z]:(?=[\\/])|\\)?(?:[\\/][^\s\\/'":,;()]+){2,}[\\/]?"""
)


def failure(text: str, detail: str | None = None) -> ToolOutcome:
    """Return the outcome of a failed call; `text` is one sentence for the model."""
    # Unprintable text may hold half a surrogate pair, which UTF-8 cannot carry.
    encoded = json.dumps(
        {"error": text}, ensure_ascii=not text.isprintable(), separators=(",", ":")
    )
    return ToolOutcome(encoded, is_error=True, detail=detail)


def describe_failure(
    name: str, error: BaseException, redact: Callable[[str], str]
) -> ToolOutcome:
    """Return the outcome that an exception of the tool `name` means.

    `ToolError` and `NotSerializable` speak for themselves; of others the first line goes to
    the model, without file paths, since authors write it for the caller
    (`ValueError("we are closed on Mondays")`).
    """
    # Redacted before it is cut, so that no half of a secret remains.
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
    return failure(text[:_TEXT_LIMIT], redact(detail))


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # without the path that str() adds
    if isinstance(error, KeyError) and len(error.args) == 1:
        return f"no entry {error.args[0]!r}"
    try:
        return str(error)
    except Exception:  # the tool's own __str__, which may do anything
        return ""


def _place(traceback: TracebackType | None) -> str:
    """Return file:line of the innermost code that is neither Python's nor installed."""
    installed = tuple(sysconfig.get_paths()[key] for key in ("stdlib", "purelib"))
    place = ""
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if not filename.startswith((*installed, "<")):
            place = f"{filename}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
