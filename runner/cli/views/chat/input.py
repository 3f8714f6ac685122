"""Decodes keys and edits the input line. Pure: bytes in, text and commands out."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from runner.engine.controls import PushToTalk, ToggleMute, Typed, VolumeStep, parse_line

VOLUME_STEP = 10  # percent
_MAX_LINE_CHARACTERS = 2000  # more is a paste by mistake


class Key(Enum):
    """A key other than a character."""

    ENTER = auto()
    BACKSPACE = auto()
    KILL_LINE = auto()
    KILL_WORD = auto()
    MUTE = auto()
    UP = auto()
    DOWN = auto()
    END_OF_INPUT = auto()
    REDRAW = auto()


Press: TypeAlias = Key | str  # a string is text, of one character or pasted


@dataclass(frozen=True, slots=True)
class EndOfInput:
    """The end of typed input."""


@dataclass(slots=True)
class LineEditor:
    """The input line while it is edited."""

    is_push_to_talk: bool = False
    text: str = ""

    def press(self, key: Press) -> Typed | EndOfInput | None:
        """Processes a key; returns the command or text it completes, if any."""
        if isinstance(key, str):
            return self._insert(key)
        match key:
            case Key.ENTER:
                line, self.text = self.text.strip(), ""
                return parse_line(line) if line else None
            case Key.BACKSPACE:
                self.text = self.text[:-1]
            case Key.KILL_LINE:
                self.text = ""
            case Key.KILL_WORD:
                self.text = re.sub(r"\S*\s*$", "", self.text)
            case Key.MUTE:
                return ToggleMute()
            case Key.UP if not self.text:
                return VolumeStep(VOLUME_STEP)
            case Key.DOWN if not self.text:
                return VolumeStep(-VOLUME_STEP)
            case Key.END_OF_INPUT if not self.text:
                return EndOfInput()
            case _:
                pass
        return None

    def _insert(self, text: str) -> Typed | None:
        if text == " " and not self.text:
            return PushToTalk() if self.is_push_to_talk else None
        shown = "".join(each if each.isprintable() else " " for each in text)
        self.text = (self.text + shown)[:_MAX_LINE_CHARACTERS]
        return None


_CONTROL = {
    "\r": Key.ENTER,
    "\n": Key.ENTER,
    "\x7f": Key.BACKSPACE,
    "\x08": Key.BACKSPACE,
    "\x15": Key.KILL_LINE,
    "\x17": Key.KILL_WORD,
    "\x14": Key.MUTE,
    "\x04": Key.END_OF_INPUT,
    "\x0c": Key.REDRAW,
}
_SEQUENCES = {
    "\x1b[A": Key.UP,
    "\x1bOA": Key.UP,
    "\x1b[B": Key.DOWN,
    "\x1bOB": Key.DOWN,
}
_PASTE_BEGINS, _PASTE_ENDS = "\x1b[200~", "\x1b[201~"
# A whole escape sequence: CSI, SS3, or Alt with a character (ECMA-48, 5.4; xterm).
_ESCAPE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|O.|[^\[O])", re.DOTALL)
_MAX_ESCAPE_CHARACTERS = 32


@dataclass(slots=True)
class KeyDecoder:
    """Decodes terminal bytes into keys; incomplete sequences are kept."""

    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    _rest: str = ""
    _is_pasting: bool = False

    def feed(self, data: bytes) -> list[Press]:
        """Returns the keys that are complete."""
        self._rest += self._decoder.decode(data)
        keys: list[Press] = []
        while self._rest:
            key, size = self._next()
            if not size:
                break
            self._rest = self._rest[size:]
            if key is not None:
                keys.append(key)
        return keys

    def _next(self) -> tuple[Press | None, int]:
        """Returns the first key and its length; the length is 0 if incomplete."""
        first = self._rest[0]
        if first != "\x1b":
            if self._is_pasting:
                return (" " if first in "\r\n\t" else first), 1
            return _CONTROL.get(first, first if first.isprintable() else None), 1
        found = _ESCAPE.match(self._rest)
        if found is None:
            # If it is still incomplete at this length, it is invalid: skip a character.
            return None, 1 if len(self._rest) > _MAX_ESCAPE_CHARACTERS else 0
        sequence = found.group()
        if sequence in (_PASTE_BEGINS, _PASTE_ENDS):
            self._is_pasting = sequence == _PASTE_BEGINS
        return _SEQUENCES.get(sequence), len(sequence)
