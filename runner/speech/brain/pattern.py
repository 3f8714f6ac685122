"""Regular expressions of a JSON Schema as GBNF, for what of them tools use.

The service holds a `pattern` against the whole value, and so does this. Only characters
that JSON needs not escape are ever let through, so the result is always a legal string.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# GBNF class of all characters that a JSON string may hold as they are.
ANY_CHARACTER = r'[^"\\\x00-\x1F]'
_FORBIDDEN = frozenset(('"', "\\"))
_OPEN_END = 30  # what "any number of times" is cut to
_MOST = 200
_SETS = {"d": "0-9", "w": "A-Za-z0-9_", "s": " "}
_QUANTIFIER = re.compile(r"([*+?]|\{(\d*)(,?)(\d*)\})[?]?")


class UnsupportedPattern(ValueError):
    """The expression uses something that has no counterpart here."""


def translate_pattern(pattern: str) -> str:
    """Return a GBNF expression that makes only strings which `pattern` fully matches.

    Raises `UnsupportedPattern` for look-around, back references, negated shorthand
    classes, anchors inside, and classes with quotes or control characters.
    """
    body = pattern.removeprefix("^")
    if body.endswith("$") and not body.endswith("\\$"):
        body = body[:-1]
    reader = _Reader(body)
    expression = reader.alternatives()
    if not reader.is_done:
        raise UnsupportedPattern(pattern)
    return expression


def quote(text: str) -> str:
    """Return `text` as a GBNF literal."""
    return '"' + "".join(_escape(c) for c in text) + '"'


def _escape(character: str) -> str:
    if character.isascii() and (character.isalnum() or character in " _-{}[]:,.'"):
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


def _class_character(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


@dataclass(slots=True)
class _Reader:
    text: str
    at: int = 0

    @property
    def is_done(self) -> bool:
        return self.at >= len(self.text)

    def alternatives(self) -> str:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else "(" + " | ".join(branches) + ")"

    def _sequence(self) -> str:
        parts = []
        while not self.is_done and self.text[self.at] not in "|)":
            parts.append(self._quantified(self._atom()))
        return " ".join(parts) if parts else '""'

    def _atom(self) -> str:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return self._set()
        if character == ".":
            return ANY_CHARACTER
        if character == "\\":
            escaped = self._next()
            return f"[{_SETS[escaped]}]" if escaped in _SETS else quote(_plain(escaped))
        if character in "^$*+?{":
            raise UnsupportedPattern(self.text)
        return quote(_allowed(character))

    def _group(self) -> str:
        if self._take("?") and not self._take(":"):
            raise UnsupportedPattern(self.text)
        inner = self.alternatives()
        if not self._take(")"):
            raise UnsupportedPattern(self.text)
        return f"({inner})"

    def _set(self) -> str:
        is_negated = self._take("^")
        items: list[str] = []
        while not self._take("]") or not items:
            items.append(self._set_item(is_negated))
        if is_negated:
            return r'[^"\\\x00-\x1F' + "".join(items) + "]"
        return "[" + "".join(items) + "]"

    def _set_item(self, is_negated: bool) -> str:
        if self.text[self.at : self.at + 1] == "\\":
            escaped = self.text[self.at + 1 : self.at + 2]
            if escaped in _SETS and escaped:
                self.at += 2
                return _SETS[escaped]
        first = self._set_character()
        last = first
        rest = self.text[self.at : self.at + 2]
        if len(rest) == 2 and rest[0] == "-" and rest[1] != "]":
            self.at += 1
            last = self._set_character()
        if last < first or (
            not is_negated
            and (first < " " or any(first <= c <= last for c in _FORBIDDEN))
        ):
            raise UnsupportedPattern(self.text)
        if first == last:
            return _class_character(first)
        return f"{_class_character(first)}-{_class_character(last)}"

    def _set_character(self) -> str:
        character = self._next()
        return character if character != "\\" else _plain(self._next())

    def _quantified(self, atom: str) -> str:
        found = _QUANTIFIER.match(self.text, self.at)
        if found is None:
            return atom
        self.at = found.end()
        if self.text[self.at : self.at + 1] in ("*", "+"):
            raise UnsupportedPattern(self.text)
        if found[1] == "?":
            return f"{atom}?"
        if found[1] in "*+":
            return f"{atom}{{{int(found[1] == '+')},{_OPEN_END}}}"
        least = int(found[2] or 0)
        most = int(found[4]) if found[4] else (least + _OPEN_END)
        if not found[3]:
            most = least
        if not (found[2] or found[4]) or most > _MOST or least > most:
            raise UnsupportedPattern(self.text)
        return f"{atom}{{{least},{most}}}" if most else '""'

    def _take(self, character: str) -> bool:
        if self.text[self.at : self.at + 1] == character:
            self.at += 1
            return True
        return False

    def _next(self) -> str:
        if self.is_done:
            raise UnsupportedPattern(self.text)
        self.at += 1
        return self.text[self.at - 1]


def _plain(escaped: str) -> str:
    """Return the character that an escape stands for, if it is just that."""
    if escaped.isalnum():
        raise UnsupportedPattern(f"\\{escaped}")
    return _allowed(escaped)


def _allowed(character: str) -> str:
    if character in _FORBIDDEN or character < " ":
        raise UnsupportedPattern(character)
    return character
