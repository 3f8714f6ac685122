"""Takes a tool's values out of a caller's words by rule."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runner.speech.brain.grounding import find_match, gather, is_alike
from runner.speech.brain.numerals import spoken_tokens
from runner.speech.brain.signature import Slot
from runner.speech.parts import CallerSaid

_LEAD_IN = re.compile(
    r"^(?:(?:well|um|uh|oh|yes|sure|okay|ok|it is|it's|that is|that's|this is|"
    r"my name is|i'm|i am|i'd like|i want|make it|let's say|in|for|at|on|to|the)\b"
    r"[ ,]*)+",
    re.I,
)
_NAME = re.compile(r"(?<![.!?] )(?<!^)\b[A-Z][\w'-]*(?:\s+(?:[A-Z][\w'-]*|of|de|la))*")
_NOT_NAMES = frozenset(("I", "I'm", "I'd", "I'll", "I've", "OK", "Okay", "Hi", "Hello"))
_AFTER = re.compile(
    r"\b(?:(?:in|for|at|about|named|called|from)\s+(?:the\s+)?|to the\s+)([\w' -]+)",
    re.I,
)
_PLEASE = re.compile(r"[ ,]*\bplease\b[ ,]*", re.I)
_NO = re.compile(r"\b(no|not|don't|do not|without|never)\b", re.I)
_LONGEST_REPLY = 5  # words that are a value by themselves
_LONGEST_PHRASE = 3


def extract(slot: Slot, request: str, *, reply: str | None) -> object | None:
    """Return the value for `slot`, or None when the words hold none.

    `request` is all that the caller said about it; `reply` its last part when that
    answers a question for a value.
    """
    if slot.is_free_text:
        return request
    kind = slot.schema.get("type")
    choices = slot.schema.get("enum")
    if isinstance(choices, Sequence) and not isinstance(choices, str):
        return _choice(choices, request)
    if isinstance(slot.schema.get("pattern"), str):
        return find_match(slot, gather([CallerSaid(reply or request)]))
    if kind in ("integer", "number"):
        return _number(reply or request, is_whole=kind == "integer")
    if kind == "boolean":
        return not _NO.search(reply or request) if slot.is_required else None
    if kind not in (None, "string"):
        return None
    return _phrase(slot, request, reply)


def _choice(choices: Sequence[object], request: str) -> object | None:
    said = spoken_tokens(request)
    for choice in choices:
        words = spoken_tokens(str(choice).replace("_", " "))
        if words and all(any(is_alike(w, s) for s in said) for w in words):
            return choice
    return None


def _number(text: str, *, is_whole: bool) -> float | None:
    for token in spoken_tokens(text):
        if token.isdecimal():
            return int(token)
        if not is_whole and re.fullmatch(r"\d+\.\d+", token):
            return float(token)
    return None


def _phrase(slot: Slot, request: str, reply: str | None) -> str | None:
    examples = slot.schema.get("examples", ())
    for example in examples if isinstance(examples, Sequence) else ():
        if isinstance(example, str) and example.lower() in request.lower():
            return example
    if reply is not None:
        bare = _PLEASE.sub("", _LEAD_IN.sub("", reply.strip()).rstrip(".!?, "))
        if bare and len(bare.split()) <= _LONGEST_REPLY:
            return bare
    for found in _NAME.finditer(reply or request):
        if found[0] not in _NOT_NAMES:
            return re.sub(r"('s)?(\s+(of|de|la))?$", "", found[0])
    phrase = _AFTER.search(reply or request) if slot.is_required else None
    if phrase is None:
        return None
    words = phrase[1].split()[:_LONGEST_PHRASE]
    return " ".join(words) or None
