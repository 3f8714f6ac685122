"""Regular expressions from files and clients, matched in bounded time.

Python's `re` backtracks: a pattern such as `((a|b)|(a|c))*d` takes exponential time on
a text that does not match, and no timeout interrupts it. A pattern is therefore
translated for RE2, which matches in linear time. Look-around, back-references and the
few other constructs without a counterpart in RE2 are matched by `regex` under a
timeout, during which other threads and the event loop wait.

The meaning is that of Python's `re`, with one exception: in RE2, as in JSON Schema, `$`
is the end of the text and not also the place before a final newline.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# Compiling takes time that grows with the length, and no honest pattern is longer.
MAX_PATTERN_CHARS = 10_000
# Long enough for any honest text and pattern; short enough for a call that waits.
MAX_MATCH_SECONDS = 0.1
# Of the program that RE2 compiles and of its cache of states. Larger patterns, such as
# `.{1000}.{1000}`, are left to the timeout.
_MAX_RE2_BYTES = 1 << 20
_COMPILED = 512

# The standard library has no public parser of patterns. RE2 needs other spellings for
# some constructs, and a parser of our own would have to know the whole syntax.
_parser: Any = import_module("re._parser")

UNLIMITED: Any = _parser.MAXREPEAT  # the maximum of `*` and `+` in a syntax tree

# Unicode classes of `re` in RE2, whose own \d, \w and \s are limited to ASCII.
_CLASSES = {
    "DIGIT": r"\p{Nd}",
    "WORD": r"\p{L}\p{N}_",
    "SPACE": r"\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}"
    r"\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}",
}


class InvalidPattern(ValueError):
    """Raised for a pattern that is not a regular expression of Python; one line."""


class MatchTimeout(Exception):
    """Raised if a match takes longer than `MAX_MATCH_SECONDS`."""


class BoundedPattern:
    """A compiled pattern. `is_linear` is True if RE2 matches it."""

    def __init__(self, source: str) -> None:
        """Raises InvalidPattern."""
        tree = parse_pattern(source)
        self.source = source
        self._linear = _compile_linear(tree)
        self._timed: Any = None
        self.is_linear = self._linear is not None

    def search(self, text: str) -> bool:
        """True if some part of the text matches. Raises MatchTimeout."""
        if self._linear is not None:
            return self._linear.search(_encode(text)) is not None
        return self._match_timed("search", text)

    def fullmatch(self, text: str) -> bool:
        """True if the whole text matches. Raises MatchTimeout."""
        if self._linear is not None:
            return self._linear.fullmatch(_encode(text)) is not None
        return self._match_timed("fullmatch", text)

    def _match_timed(self, method: str, text: str) -> bool:
        if self._timed is None:
            import regex

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._timed = regex.compile(self.source, regex.VERSION0)
        match = getattr(self._timed, method)
        try:
            return match(text, timeout=MAX_MATCH_SECONDS) is not None
        except TimeoutError:
            raise MatchTimeout(self.source) from None


@lru_cache(_COMPILED)
def compile_pattern(source: str) -> BoundedPattern:
    """Returns a compiled pattern, from a cache. Raises InvalidPattern."""
    return BoundedPattern(source)


def parse_pattern(source: str) -> Any:
    """Returns the syntax tree of `re`. Raises InvalidPattern."""
    if len(source) > MAX_PATTERN_CHARS:
        raise InvalidPattern(f"longer than {MAX_PATTERN_CHARS} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of `[[`, which may change its meaning
            # Compiled as well: a few errors, such as a look-behind of variable width,
            # are found only then.
            re.compile(source)
            return _parser.parse(source)
    except (re.error, RecursionError, OverflowError, MemoryError) as error:
        raise InvalidPattern(str(error) or type(error).__name__) from None


def _compile_linear(tree: Any) -> Any | None:
    """Returns a pattern of RE2; None if it cannot express the pattern."""
    import re2

    try:
        source = _translate_flags(tree.state.flags) + _translate(tree)
    except (_Untranslatable, RecursionError):
        return None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_RE2_BYTES
    options.never_capture = True
    try:
        return re2.compile(source.encode(), options)
    except re2.error:
        return None


class _Untranslatable(Exception):
    """Raised for a construct without a counterpart in RE2."""


def _translate_flags(flags: int) -> str:
    if flags & (re.ASCII | re.LOCALE):
        raise _Untranslatable
    letters = {re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s"}
    used = "".join(letter for flag, letter in letters.items() if flags & flag)
    return f"(?{used})" if used else ""


def _translate(items: Iterable[tuple[Any, Any]]) -> str:
    return "".join(_translate_item(str(name), value) for name, value in items)


def _translate_item(name: str, value: Any) -> str:
    match name:
        case "LITERAL":
            return _escape(value)
        case "NOT_LITERAL":
            return f"[^{_escape(value)}]"
        case "ANY":
            return "."
        case "IN":
            return _translate_set(value)
        case "BRANCH":
            return "(?:" + "|".join(_translate(each) for each in value[1]) + ")"
        case "SUBPATTERN":
            _, added, removed, body = value
            if removed:
                raise _Untranslatable
            return f"(?:{_translate_flags(added)}{_translate(body)})"
        case "MAX_REPEAT" | "MIN_REPEAT":
            least, most, body = value
            upper = "" if most is UNLIMITED else most
            lazy = "?" if name == "MIN_REPEAT" else ""
            return f"(?:{_translate(body)}){{{least},{upper}}}{lazy}"
        case "AT" if str(value) in _PLACES:
            return _PLACES[str(value)]
    raise _Untranslatable


# `^` and `$` follow the multi-line flag in RE2, too.
_PLACES = {
    "AT_BEGINNING": "^",
    "AT_BEGINNING_STRING": r"\A",
    "AT_END": "$",
    "AT_END_STRING": r"\z",
}


def _translate_set(items: list[tuple[Any, Any]]) -> str:
    parts: list[str] = []
    negated_classes: list[str] = []
    is_negated = False
    for name, value in items:
        match str(name):
            case "NEGATE":
                is_negated = True
            case "LITERAL":
                parts.append(_escape(value))
            case "RANGE":
                parts.append(f"{_escape(value[0])}-{_escape(value[1])}")
            case "CATEGORY":
                category = str(value).removeprefix("CATEGORY_")
                if category.startswith("NOT_"):
                    negated_classes.append(_CLASSES[category.removeprefix("NOT_")])
                else:
                    parts.append(_CLASSES[category])
            case _:
                raise _Untranslatable
    if not negated_classes:
        return f"[{'^' if is_negated else ''}{''.join(parts)}]"
    if is_negated:  # the complement of a union with a complement
        raise _Untranslatable
    choices = [f"[^{each}]" for each in negated_classes]
    if parts:
        choices.append(f"[{''.join(parts)}]")
    return "(?:" + "|".join(choices) + ")"


def _escape(code: int) -> str:
    if 0xD800 <= code < 0xE000:  # half a surrogate pair is not a character of UTF-8
        raise _Untranslatable
    return f"\\x{{{code:x}}}"


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "replace")
