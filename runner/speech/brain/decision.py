"""Reads the model's one line while it is being written.

Speech is handed on clause by clause; a call only when it is complete.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from runner.speech.brain.clauses import ClauseCutter

_SAY = re.compile(r'\s*\{\s*"say"\s*:\s*"')
_ESCAPES = {"n": " ", "t": " ", "r": " ", "b": "", "f": ""}


@dataclass(frozen=True, slots=True)
class Clause:
    """Words that can be spoken now."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call as the model wrote it, not yet held against what was said."""

    name: str
    arguments: Mapping[str, Any]


Decided: TypeAlias = Clause | Call


class DecisionReader:
    """Takes `{"say": ...}` or `{"tool": ..., "arguments": ...}` piece by piece."""

    def __init__(self) -> None:
        self._text = ""
        self._spoken_to: int | None = None  # where the unread speech begins, once known
        self._is_closed = False
        self._cutter = ClauseCutter()

    def feed(self, piece: str) -> Iterator[Decided]:
        """Take the next piece; yield the clauses and the call that it completes."""
        self._text += piece
        if self._spoken_to is None and (found := _SAY.match(self._text)):
            self._spoken_to = found.end()
        if self._spoken_to is not None:
            for clause in self._cutter.feed(self._read_speech(self._spoken_to)):
                yield Clause(clause)

    def finish(self) -> Iterator[Decided]:
        """Yield what is left. A line that is neither speech nor a call yields nothing.

        A line that broke off is spoken as far as it came; half a call is dropped.
        """
        if self._spoken_to is not None:
            for clause in self._cutter.finish():
                yield Clause(clause)
            return
        try:
            value = json.loads(self._text)
        except ValueError:
            return
        if isinstance(value, dict) and isinstance(value.get("tool"), str):
            arguments = value.get("arguments")
            yield Call(value["tool"], arguments if isinstance(arguments, dict) else {})

    def _read_speech(self, at: int) -> str:
        """Return the speech from `at` on, up to its closing quote or what is there."""
        said = []
        while at < len(self._text) and not self._is_closed:
            character = self._text[at]
            if character == "\\":
                length = 6 if self._text[at + 1 : at + 2] == "u" else 2
                if at + length > len(self._text):
                    break
                said.append(_unescape(self._text[at : at + length]))
                at += length
                continue
            self._is_closed = character == '"'
            if not self._is_closed:
                said.append(character)
                at += 1
        self._spoken_to = at
        return "".join(said)


def _unescape(escape: str) -> str:
    if escape[1] != "u":
        return _ESCAPES.get(escape[1], escape[1])
    try:
        return chr(int(escape[2:], 16))
    except ValueError:
        return ""
