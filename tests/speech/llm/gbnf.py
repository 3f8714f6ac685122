"""An independent reader of GBNF, written from llama.cpp's description of the notation.

It refuses what is not legal and draws random texts from what is.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

Draw = Callable[[random.Random], str]


class Gbnf:
    """Parses a grammar (raising on anything illegal) and draws texts from it."""

    def __init__(self, source: str) -> None:
        self.rules: dict[str, Draw] = {}
        self._used: set[str] = set()
        for line in source.strip().splitlines():
            rule = re.fullmatch(r"([a-z][a-z0-9-]*) ::= (.*)", line)
            assert rule is not None, line
            name, body = rule.groups()
            assert name not in self.rules, f"rule {name} is there twice"
            self._text, self._at = body, 0
            self.rules[name] = self._alternatives()
            assert self._at == len(body), body[self._at :]
        assert self._used <= set(self.rules), self._used - set(self.rules)

    def draw(self, random_: random.Random) -> str:
        return self.rules["root"](random_)

    def _alternatives(self) -> Draw:
        branches = [self._sequence()]
        while self._accept("|"):
            branches.append(self._sequence())
        return lambda r: r.choice(branches)(r)

    def _sequence(self) -> Draw:
        items: list[Draw] = []
        while self._peek() not in ("", "|", ")"):
            items.append(self._repeated(self._item()))
        return lambda r: "".join(item(r) for item in items)

    def _item(self) -> Draw:
        if self._accept("("):
            inner = self._alternatives()
            assert self._accept(")")
            return inner
        if self._text[self._at] == '"':
            literal = self._literal()
            return lambda r: literal
        if self._text[self._at] == "[":
            return self._class()
        found = re.compile(r"[a-z][a-z0-9-]*").match(self._text, self._at)
        assert found, self._text[self._at :]
        self._at = found.end()
        self._used.add(found[0])
        name = found[0]
        return lambda r: self.rules[name](r)

    def _repeated(self, item: Draw) -> Draw:
        found = re.compile(r"\?|\*|\+|\{(\d+)(,(\d+))?\}").match(self._text, self._at)
        if not found:
            return item
        self._at = found.end()
        least, most = {"?": (0, 1), "*": (0, 3), "+": (1, 3)}.get(
            found[0], (int(found[1] or 0), int(found[3] or found[1] or 0))
        )
        assert least <= most and most > 0, found[0]
        return lambda r: "".join(
            item(r) for _ in range(r.choice((least, most, r.randint(least, most))))
        )

    def _literal(self) -> str:
        self._at += 1
        characters = []
        while self._text[self._at] != '"':
            characters.append(self._character())
        self._at += 1
        return "".join(characters)

    def _class(self) -> Draw:
        self._at += 1
        is_negated = self._text[self._at] == "^"
        self._at += is_negated
        ranges = []
        while self._text[self._at] != "]":
            first = last = self._character()
            if self._text[self._at] == "-" and self._text[self._at + 1] != "]":
                self._at += 1
                last = self._character()
            assert first <= last
            ranges.append((ord(first), ord(last)))
        self._at += 1
        if is_negated:
            allowed = [
                chr(code)
                for code in (*range(0x180), 0x20AC, 0x1F600)
                if not any(low <= code <= high for low, high in ranges)
            ]
            return lambda r: r.choice(allowed)
        return lambda r: chr(r.randint(*r.choice(ranges)))

    def _character(self) -> str:
        character = self._text[self._at]
        self._at += 1
        if character != "\\":
            return character
        kind = self._text[self._at]
        self._at += 1
        if kind in "xuU":
            length = {"x": 2, "u": 4, "U": 8}[kind]
            code = self._text[self._at : self._at + length]
            assert re.fullmatch(f"[0-9A-Fa-f]{{{length}}}", code)
            self._at += length
            return chr(int(code, 16))
        return {"n": "\n", "t": "\t", "r": "\r"}.get(kind) or kind

    def _accept(self, mark: str) -> bool:
        is_there = self._peek() == mark
        self._at += is_there
        return is_there

    def _peek(self) -> str:
        while self._at < len(self._text) and self._text[self._at] == " ":
            self._at += 1
        return self._text[self._at : self._at + 1]
