"""Failed calls in words: short for the model, with the place for the person."""

from __future__ import annotations

import json
import re
import sysconfig
from collections.abc import Iterable, Iterator
from types import TracebackType
from urllib.parse import quote

from runner.errors import ToolError
from runner.tools.results import Unsayable
from runner.tools.tool import ToolOutcome

_TEXT_LIMIT = 300
# A tool's result is JSON text within a JSON message, and may hold JSON text itself.
_JSON_LEVELS = 3

# An absolute path of two or more parts: POSIX, Windows or UNC; not within a URL.
_PATH = re.compile(
    r"""(?<![\w/:.\\])(?:[A-Za-z]:(?=[\\/])|\\)?(?:[\\/][^\s\\/'":,;()]+){2,}[\\/]?"""
)


class Masking:
    """Replaces secrets by value in texts; shorter ones than `shortest` are let be.

    A value of one or two characters stands in every second sentence: it is no secret,
    and masking it would only spoil the text.
    """

    def __init__(self, secrets: Iterable[str], *, shortest: int) -> None:
        spellings = {
            spelling
            for secret in secrets
            if len(secret) >= shortest
            for spelling in _spellings(secret)
        }
        # The longest first, so that a secret within another leaves no rest of it.
        ordered = sorted(spellings, key=len, reverse=True)
        pattern = "|".join(_in_address(spelling) for spelling in ordered)
        self._pattern = re.compile(pattern) if pattern else None

    def __call__(self, text: str) -> str:
        return self._pattern.sub("***", text) if self._pattern else text


def _in_address(secret: str) -> str:
    """Return a pattern for a text, also in a URL, whatever of it the writer escaped."""
    return "".join(_raw_or_escaped(each) for each in secret)


def _raw_or_escaped(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    escaped = "".join(
        f"%(?i:{byte:02X})" for byte in character.encode("utf-8", "surrogatepass")
    )
    plus = r"|\+" if character == " " else ""
    return f"(?:{re.escape(character)}|{escaped}{plus})"


def _spellings(secret: str) -> Iterator[str]:
    """Yield a text as it is, as URLs spell it, and as JSON does, also within JSON."""
    yield from (secret, quote(secret), quote(secret, safe=""))
    for is_ascii in (True, False):
        spelt = secret
        for _ in range(_JSON_LEVELS):
            spelt = json.dumps(spelt, ensure_ascii=is_ascii)[1:-1]
            yield spelt


def fail(text: str, detail: str | None = None) -> ToolOutcome:
    """Return the outcome of a failed call; `text` is one sentence for the model."""
    # Unprintable text may hold half a surrogate pair, which UTF-8 cannot carry.
    encoded = json.dumps(
        {"error": text}, ensure_ascii=not text.isprintable(), separators=(",", ":")
    )
    return ToolOutcome(encoded, is_error=True, detail=detail)


def describe_failure(name: str, error: BaseException, mask: Masking) -> ToolOutcome:
    """Say what an exception of the tool `name` means.

    `ToolError` and `Unsayable` speak for themselves; of others the first line goes to
    the model, without file paths, since authors write it for the caller
    (`ValueError("we are closed on Mondays")`).
    """
    # Masked before it is cut anywhere, so that no half of a secret remains.
    message = mask(_message(error))
    place = _place(error.__traceback__)
    kind = type(error).__name__
    detail = f"{kind}: {message}" if message else kind
    if place:
        detail = f"{detail} ({place})"
    if isinstance(error, ToolError):
        detail = f"{message}; {error.hint}" if error.hint else message
        text = message
    elif isinstance(error, Unsayable):
        text = f"{name} failed: {message}"
    elif isinstance(error, SystemExit | KeyboardInterrupt):
        text = f"{name} failed: it tried to end the program"
    else:
        first = message.strip().partition("\n")[0]
        text = f"{name} failed: {_PATH.sub('a file', first) or kind}"
    return fail(text[:_TEXT_LIMIT], mask(detail))


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
