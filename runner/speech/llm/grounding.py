"""Holds a call's arguments against what was said: a small model invents what it lacks.

A value counts as known when it occurs in the caller's words, in a tool's result or in
an instruction of this conversation, however it was said. Everything else is a guess.
"""
# MERGED: "Asks for what a tool still needs, from the tool's own words, without the model.\n\nA question that is put together costs no time; the model needs a second for one."
# MERGED: "Takes a tool's values out of a caller's words by rule."

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from runner.speech.interfaces import (
    HistoryMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from runner.speech.llm.text import digit_runs, spoken_tokens
from runner.speech.llm.tools import ToolParameter, ToolSpec

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
class SpokenEvidence:
    """What was said, in the forms in which a value may look for itself."""

    words: frozenset[str]
    numbers: frozenset[str]
    squashed: str  # all words and digits without anything between them


@dataclass(frozen=True, slots=True)
class CheckedArguments:
    """A call's arguments without guesses; `missing` are the required ones among them"""

    arguments: Mapping[str, Any]
    missing: tuple[ToolParameter, ...] = ()


def gather_evidence(history: Sequence[HistoryMessage]) -> SpokenEvidence:
    """Collect what the caller, the tools and the system said so far."""
    tokens: list[str] = []
    runs: set[str] = set()
    for turn in history:
        match turn:
            case UserMessage(text) | SystemMessage(text):
                said = spoken_tokens(text)
            case ToolMessage(result=str(result)):
                said = spoken_tokens(result)
            case _:
                continue
        tokens += said
        runs |= digit_runs(said)  # turn by turn: numbers do not join across turns
    words = frozenset(tokens)
    return SpokenEvidence(words, frozenset(runs | _late_hours(words)), "".join(tokens))


def check_arguments(
    tool: ToolSpec, arguments: Mapping[str, Any], evidence: SpokenEvidence
) -> CheckedArguments:
    """Sort a call's arguments into known ones and guesses.

    An optional guess is dropped. A required one that has a pattern is mended when what
    was said holds exactly one value of that pattern; else it is missing.
    """
    known: dict[str, Any] = {}
    missing: list[ToolParameter] = []
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
        elif (
            slot.is_required
            and (mended := find_pattern_match(slot, evidence)) is not None
        ):
            known[slot.name] = mended
        elif slot.is_required:
            missing.append(slot)
    return CheckedArguments(known, tuple(missing))


def find_pattern_match(slot: ToolParameter, evidence: SpokenEvidence) -> str | None:
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


def _is_mentioned(slot: ToolParameter, evidence: SpokenEvidence) -> bool:
    words = spoken_tokens(slot.name.replace("_", " "))
    return any(_was_heard(w, evidence) for w in words if w not in _FILLERS)


def _is_grounded(
    value: object, schema: Mapping[str, Any], evidence: SpokenEvidence
) -> bool:
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


def _is_text_grounded(
    text: str, schema: Mapping[str, Any], evidence: SpokenEvidence
) -> bool:
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


def _was_heard(token: str, evidence: SpokenEvidence) -> bool:
    if token[0].isdecimal():
        return token in evidence.numbers or re.sub(r"\D", "", token) in evidence.numbers
    if token in evidence.words:
        return True
    return any(is_similar(token, word) for word in evidence.words)


def is_similar(word: str, other: str) -> bool:
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


_LONGEST_NAME = 6  # words; a longer description is a sentence, not a name
_CUT = re.compile(
    r"[,.;:(]|\be\.g\.|\bsuch as\b|\bfor example\b|\blike\b|\bin the form"
)
_ARTICLE = re.compile(r"^(the|a|an|their|your|caller's|customer's|user's)\s+", re.I)
_SENTENCE = re.compile(
    r"^(whether|if|how|what|which|when|where|who|must|one of|use|set|true)\b", re.I
)
_STOP = frozenset(
    (
        *("a", "an", "the", "of", "in", "at", "on", "to", "for", "and", "or", "with"),
        *("my", "me", "i", "you", "your", "it", "its", "is", "are", "be", "do"),
        *("does", "get", "look", "up", "by", "this", "that", "can", "could", "would"),
        *("will", "please", "what", "how", "who", "caller", "user", "customer"),
        *("name", "what's", "tool", "call", "when", "if", "whether", "from", "want"),
        *("wants", "have", "need", "needs", "needed", "tell", "give", "like", "know"),
        *("make", "let", "there", "was", "were", "one", "some", "any", "should"),
        *("our", "we", "us", "so", "not", "no", "yes"),
    )
)


def parameter_question(slot: ToolParameter) -> str:
    """Return the question for one missing value."""
    name = parameter_words(slot)
    choices = slot.schema.get("enum")
    if isinstance(choices, Sequence) and not isinstance(choices, str):
        spoken = [str(choice).replace("_", " ") for choice in choices]
        if 1 < len(spoken) <= 5:
            return f"Which {name}: {', '.join(spoken[:-1])} or {spoken[-1]}?"
    return f"What is the {name}?"


def parameter_words(slot: ToolParameter) -> str:
    """Return how a person would call the value: "order number"."""
    text = _CUT.split(slot.description, maxsplit=1)[0].strip()
    text = _ARTICLE.sub("", text)
    if not text or len(text.split()) > _LONGEST_NAME or _SENTENCE.match(text):
        return _words_of(slot.name)
    first = text.split()[0]
    keeps_case = first.isupper() and len(first) > 1
    return text if keeps_case else text[0].lower() + text[1:]


def find_asked_parameter(tools: Iterable[ToolSpec], text: str) -> str | None:
    """Return which required value of which tool a spoken question asks for.

    The answer to such a question only makes sense together with the request that came
    before it.
    """
    if not text.rstrip().endswith("?"):
        return None
    words = content_words(text)
    for tool in tools:
        for slot in tool.required:
            wanted = content_words(f"{_words_of(slot.name)} {parameter_words(slot)}")
            if not slot.is_free_text and _overlap(words, wanted):
                return f"{tool.name}.{slot.name}"
    return None


def relevance(tool: ToolSpec, text: str) -> int:
    """Return how many words of meaning `text` shares with the tool's own."""
    own = tool_words(tool)
    said = content_words(text)
    return sum(any(is_similar(word, other) for other in own) for word in said)


def tool_words(tool: ToolSpec) -> frozenset[str]:
    """Return the words of meaning in a tool's name, description and values."""
    texts = [_words_of(tool.name), tool.description]
    for slot in tool.slots:
        choices = slot.schema.get("enum")
        texts += [_words_of(slot.name), slot.description]
        texts += map(str, choices if isinstance(choices, Sequence) else ())
    return content_words(" ".join(texts))


def content_words(text: str) -> frozenset[str]:
    """Return the words that carry meaning, in lower case."""
    return frozenset(w for w in spoken_tokens(text) if w not in _STOP and len(w) > 1)


def _overlap(some: frozenset[str], others: frozenset[str]) -> bool:
    return any(is_similar(word, other) for word in some for other in others)


def _words_of(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = re.split(r"[_\-\s]+", spaced.strip("_- "))
    return " ".join(
        "number" if word.lower() == "id" else word.lower() for word in words
    )


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


def extract_value(
    slot: ToolParameter, request: str, *, reply: str | None
) -> object | None:
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
        return find_pattern_match(
            slot, gather_evidence([UserMessage(reply or request)])
        )
    if kind in ("integer", "number"):
        return _spoken_number(reply or request, is_whole=kind == "integer")
    if kind == "boolean":
        return not _NO.search(reply or request) if slot.is_required else None
    if kind not in (None, "string"):
        return None
    return _phrase(slot, request, reply)


def _choice(choices: Sequence[object], request: str) -> object | None:
    said = spoken_tokens(request)
    for choice in choices:
        words = spoken_tokens(str(choice).replace("_", " "))
        if words and all(any(is_similar(w, s) for s in said) for w in words):
            return choice
    return None


def _spoken_number(text: str, *, is_whole: bool) -> float | None:
    for token in spoken_tokens(text):
        if token.isdecimal():
            return int(token)
        if not is_whole and re.fullmatch(r"\d+\.\d+", token):
            return float(token)
    return None


def _phrase(slot: ToolParameter, request: str, reply: str | None) -> str | None:
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
