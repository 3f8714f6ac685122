"""Holds a call's arguments against what was said: a small model invents what it lacks.

A value counts as known when it occurs in the caller's words, in a tool's result or in
an instruction of this conversation, however it was said. Everything else is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from runner.speech.brain.numerals import digit_runs, spoken_tokens
from runner.speech.brain.signature import Signature, Slot
from runner.speech.parts import CallerSaid, Instruction, ToolUsed, Turn

_ALIKE = 0.8  # how like a word must be to count as heard; recognizers misspell names
_ENOUGH = 0.5  # the part of a value's words that must have been heard
_FILLERS = frozenset(
    ("a", "an", "the", "of", "in", "at", "on", "to", "for", "and", "my", "please")
)
_DAYS = frozenset(
    (
        *("today", "tonight", "tomorrow", "now", "noon", "midnight", "weekend"),
        *("morning", "afternoon", "evening", "night", "week", "month", "year"),
        *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday"),
        *("sunday", "january", "february", "march", "april", "may", "june", "july"),
        *("august", "september", "october", "november", "december"),
    )
)
_LATER_HALF = frozenset(("pm", "afternoon", "evening", "tonight"))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was said, in the forms in which a value may look for itself."""

    words: frozenset[str]
    numbers: frozenset[str]
    squashed: str  # all words and digits without anything between them


@dataclass(frozen=True, slots=True)
class GroundedCall:
    """A call's arguments without guesses; `missing` are the required ones among them"""

    arguments: Mapping[str, Any]
    missing: tuple[Slot, ...] = ()


def gather(history: Sequence[Turn]) -> Evidence:
    """Collect what the caller, the tools and the system said so far."""
    tokens: list[str] = []
    runs: set[str] = set()
    for turn in history:
        match turn:
            case CallerSaid(text) | Instruction(text):
                said = spoken_tokens(text)
            case ToolUsed(result=str(result)):
                said = spoken_tokens(result)
            case _:
                continue
        tokens += said
        runs |= digit_runs(said)  # turn by turn: numbers do not join across turns
    words = frozenset(tokens)
    return Evidence(words, frozenset(runs | _late_hours(words)), "".join(tokens))


def ground(
    tool: Signature, arguments: Mapping[str, Any], evidence: Evidence
) -> GroundedCall:
    """Sort a call's arguments into known ones and guesses.

    An optional guess is dropped. A required one that has a pattern is mended when what
    was said holds exactly one value of that pattern; else it is missing.
    """
    known: dict[str, Any] = {}
    missing: list[Slot] = []
    for slot in tool.slots:
        if slot.name not in arguments:
            if slot.is_required:
                missing.append(slot)
            continue
        value = arguments[slot.name]
        if isinstance(value, bool) and not slot.is_required:
            # True or false can stand nowhere in the caller's words, but its name can.
            if _is_mentioned(slot, evidence):
                known[slot.name] = value
        elif slot.is_free_text or _is_grounded(value, slot.schema, evidence):
            known[slot.name] = value
        elif slot.is_required and (mended := find_match(slot, evidence)) is not None:
            known[slot.name] = mended
        elif slot.is_required:
            missing.append(slot)
    return GroundedCall(known, tuple(missing))


def find_match(slot: Slot, evidence: Evidence) -> str | None:
    """Return the one number that was said and fully matches the slot's pattern."""
    pattern = slot.schema.get("pattern")
    if not isinstance(pattern, str) or slot.schema.get("type", "string") != "string":
        return None
    try:
        expression = re.compile(pattern)
    except re.error:
        return None
    found = {number for number in evidence.numbers if expression.fullmatch(number)}
    return found.pop() if len(found) == 1 else None


def _is_mentioned(slot: Slot, evidence: Evidence) -> bool:
    words = spoken_tokens(slot.name.replace("_", " "))
    return any(_was_heard(w, evidence) for w in words if w not in _FILLERS)


def _is_grounded(value: object, schema: Mapping[str, Any], evidence: Evidence) -> bool:
    match value:
        case bool() | None:
            return True
        case int() | float():
            return _number(value) in evidence.numbers
        case str():
            return _is_text_grounded(value, schema, evidence)
        case list():
            items = schema.get("items")
            inner = items if isinstance(items, Mapping) else {}
            return all(_is_grounded(item, inner, evidence) for item in value)
        case Mapping():
            return all(_is_grounded(item, {}, evidence) for item in value.values())
        case _:
            return False


def _is_text_grounded(text: str, schema: Mapping[str, Any], evidence: Evidence) -> bool:
    if schema.get("format") in ("date", "date-time", "time"):
        # The caller says "next Friday"; whoever asks for a date has to work it out.
        return bool(evidence.numbers) or not _DAYS.isdisjoint(evidence.words)
    every = spoken_tokens(text.replace("_", " "))
    tokens = [token for token in every if token not in _FILLERS] or every
    if not tokens:
        return False
    squashed = "".join(tokens)
    if squashed in evidence.squashed or _spaceless(text) in evidence.squashed:
        return True
    heard = sum(_was_heard(token, evidence) for token in tokens)
    digits = [token for token in tokens if token[0].isdecimal()]
    if any(not _was_heard(token, evidence) for token in digits):
        return re.sub(r"\D", "", text) in evidence.numbers and len(digits) == len(
            tokens
        )
    return heard >= _ENOUGH * len(tokens)


def _was_heard(token: str, evidence: Evidence) -> bool:
    if token[0].isdecimal():
        return token in evidence.numbers or re.sub(r"\D", "", token) in evidence.numbers
    if token in evidence.words:
        return True
    return any(is_alike(token, word) for word in evidence.words)


def is_alike(word: str, other: str) -> bool:
    """Whether two words are the same but for spelling, ending or a misheard letter."""
    if word == other:
        return True
    if min(len(word), len(other)) < 3 or word[0].isdecimal() or other[0].isdecimal():
        return False
    matcher = SequenceMatcher(None, word, other, autojunk=False)
    return matcher.quick_ratio() >= _ALIKE and matcher.ratio() >= _ALIKE


def _late_hours(words: frozenset[str]) -> set[str]:
    """Return hours after noon as a 24-hour clock writes them: 7 pm is 19."""
    if _LATER_HALF.isdisjoint(words):
        return set()
    return {
        str(int(word) + 12) for word in words if word.isdecimal() and 0 < int(word) < 12
    }


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _spaceless(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()
