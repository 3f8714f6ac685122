"""Checks and extracts tool arguments by what was said, and asks for missing ones.

A small model makes up arguments. A value counts as known if it occurs in the caller's
words, in a tool result or in an instruction of this conversation, in any spoken form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from runner.patterns import InvalidPattern, compile_pattern
from runner.speech.interfaces import (
    HistoryMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from runner.speech.llm.text import digit_runs, spoken_tokens
from runner.speech.llm.tools import ToolParameter, ToolSpec

_MIN_SIMILARITY = 0.8  # of two words that count as equal; recognizers misspell names
_MIN_SHARE = 0.5  # of a value's words that must occur in what was said
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
    """Words and numbers said so far, in comparable forms."""

    words: frozenset[str]
    numbers: frozenset[str]
    joined: str  # all words and digits without spaces


@dataclass(frozen=True, slots=True)
class CheckedArguments:
    """The known arguments of a tool call; `missing` are the required unknown ones."""

    arguments: Mapping[str, Any]
    missing: tuple[ToolParameter, ...] = ()


def gather_evidence(history: Sequence[HistoryMessage]) -> SpokenEvidence:
    """Collects the words and numbers of the caller, tool results and instructions."""
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
        runs |= digit_runs(said)  # per message: numbers do not join across messages
    words = frozenset(tokens)
    return SpokenEvidence(words, frozenset(runs | _late_hours(words)), "".join(tokens))


def check_arguments(
    tool: ToolSpec, arguments: Mapping[str, Any], evidence: SpokenEvidence
) -> CheckedArguments:
    """Returns the arguments that occur in `evidence`, and the missing ones.

    An unknown optional argument is dropped. An unknown required one is replaced if
    exactly one number in the evidence matches its pattern; otherwise it is missing.
    """
    known: dict[str, Any] = {}
    missing: list[ToolParameter] = []
    for parameter in tool.parameters:
        if parameter.name not in arguments:
            if parameter.is_required:
                missing.append(parameter)
            continue
        value = arguments[parameter.name]
        if isinstance(value, bool) and not parameter.is_required:
            # The caller does not say true or false, but may say the parameter's name.
            if _is_mentioned(parameter, evidence):
                known[parameter.name] = value
        elif parameter.is_free_text or _is_grounded(value, parameter.schema, evidence):
            known[parameter.name] = value
        elif (
            parameter.is_required
            and (match := find_pattern_match(parameter, evidence)) is not None
        ):
            known[parameter.name] = match
        elif parameter.is_required:
            missing.append(parameter)
    return CheckedArguments(known, tuple(missing))


def find_pattern_match(
    parameter: ToolParameter, evidence: SpokenEvidence
) -> str | None:
    """Returns the only number in `evidence` that matches the parameter's pattern."""
    pattern = parameter.schema.get("pattern")
    if (
        not isinstance(pattern, str)
        or parameter.schema.get("type", "string") != "string"
    ):
        return None
    try:
        compiled = compile_pattern(pattern)
    except InvalidPattern:
        return None
    # The pattern comes from a client: one under a timeout would delay the others.
    if not compiled.is_linear:
        return None
    found = {number for number in evidence.numbers if compiled.fullmatch(number)}
    return found.pop() if len(found) == 1 else None


def _is_mentioned(parameter: ToolParameter, evidence: SpokenEvidence) -> bool:
    words = spoken_tokens(parameter.name.replace("_", " "))
    return any(_was_said(w, evidence) for w in words if w not in _FILLERS)


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
        # The caller says "next Friday"; the model computes the date.
        return bool(evidence.numbers) or not _DAYS.isdisjoint(evidence.words)
    every = spoken_tokens(text.replace("_", " "))
    tokens = [token for token in every if token not in _FILLERS] or every
    if not tokens:
        return False
    joined = "".join(tokens)
    if joined in evidence.joined or _spaceless(text) in evidence.joined:
        return True
    said = sum(_was_said(token, evidence) for token in tokens)
    digits = [token for token in tokens if token[0].isdecimal()]
    if any(not _was_said(token, evidence) for token in digits):
        return re.sub(r"\D", "", text) in evidence.numbers and len(digits) == len(
            tokens
        )
    return said >= _MIN_SHARE * len(tokens)


def _was_said(token: str, evidence: SpokenEvidence) -> bool:
    if token[0].isdecimal():
        return token in evidence.numbers or re.sub(r"\D", "", token) in evidence.numbers
    if token in evidence.words:
        return True
    return any(is_similar(token, word) for word in evidence.words)


def is_similar(word: str, other: str) -> bool:
    """True if two words differ at most in spelling, ending or a misheard letter."""
    if word == other:
        return True
    if min(len(word), len(other)) < 3 or word[0].isdecimal() or other[0].isdecimal():
        return False
    matcher = SequenceMatcher(None, word, other, autojunk=False)
    return (
        matcher.quick_ratio() >= _MIN_SIMILARITY and matcher.ratio() >= _MIN_SIMILARITY
    )


def _late_hours(words: frozenset[str]) -> set[str]:
    """Returns hours after noon in 24-hour form: 7 pm is 19."""
    if _LATER_HALF.isdisjoint(words):
        return set()
    return {
        str(int(word) + 12) for word in words if word.isdecimal() and 0 < int(word) < 12
    }


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _spaceless(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


_MAX_NAME = 6  # words; a longer description is a sentence, not a name

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


def parameter_question(parameter: ToolParameter) -> str:
    """Returns the question for a missing argument."""
    # A composed question takes no time; the model needs a second for one.
    name = parameter_words(parameter)
    choices = parameter.schema.get("enum")
    if isinstance(choices, Sequence) and not isinstance(choices, str):
        spoken = [str(choice).replace("_", " ") for choice in choices]
        if 1 < len(spoken) <= 5:
            return f"Which {name}: {', '.join(spoken[:-1])} or {spoken[-1]}?"
    return f"What is the {name}?"


def parameter_words(parameter: ToolParameter) -> str:
    """Returns the spoken name of a parameter, such as "order number"."""
    text = _CUT.split(parameter.description, maxsplit=1)[0].strip()
    text = _ARTICLE.sub("", text)
    if not text or len(text.split()) > _MAX_NAME or _SENTENCE.match(text):
        return _words_of(parameter.name)
    first = text.split()[0]
    keeps_case = first.isupper() and len(first) > 1
    return text if keeps_case else text[0].lower() + text[1:]


def find_asked_parameter(tools: Iterable[ToolSpec], text: str) -> str | None:
    """Returns "tool.parameter" if `text` asks for a required argument, else None."""
    if not text.rstrip().endswith("?"):
        return None
    words = content_words(text)
    for tool in tools:
        for parameter in tool.required:
            wanted = content_words(
                f"{_words_of(parameter.name)} {parameter_words(parameter)}"
            )
            if not parameter.is_free_text and _overlap(words, wanted):
                return f"{tool.name}.{parameter.name}"
    return None


def relevance(tool: ToolSpec, text: str) -> int:
    """Returns the number of content words that `text` shares with the tool."""
    own = tool_words(tool)
    said = content_words(text)
    return sum(any(is_similar(word, other) for other in own) for word in said)


def tool_words(tool: ToolSpec) -> frozenset[str]:
    """Returns the content words of a tool's name, description and values."""
    texts = [_words_of(tool.name), tool.description]
    for parameter in tool.parameters:
        choices = parameter.schema.get("enum")
        texts += [_words_of(parameter.name), parameter.description]
        texts += map(str, choices if isinstance(choices, Sequence) else ())
    return content_words(" ".join(texts))


def content_words(text: str) -> frozenset[str]:
    """Returns the words of `text` without stop words, in lower case."""
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
_MAX_REPLY = 5  # words of a reply that is a value by itself
_MAX_PHRASE = 3  # words


def extract_value(
    parameter: ToolParameter, request: str, *, reply: str | None
) -> object | None:
    """Extracts the value of `parameter` by rule; None if there is none.

    `request` is the complete request; `reply` is its last part if that answers a
    question for an argument.
    """
    if parameter.is_free_text:
        return request
    kind = parameter.schema.get("type")
    choices = parameter.schema.get("enum")
    if isinstance(choices, Sequence) and not isinstance(choices, str):
        return _choice(choices, request)
    if isinstance(parameter.schema.get("pattern"), str):
        return find_pattern_match(
            parameter, gather_evidence([UserMessage(reply or request)])
        )
    if kind in ("integer", "number"):
        return _spoken_number(reply or request, is_whole=kind == "integer")
    if kind == "boolean":
        return not _NO.search(reply or request) if parameter.is_required else None
    if kind not in (None, "string"):
        return None
    return _phrase(parameter, request, reply)


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


def _phrase(parameter: ToolParameter, request: str, reply: str | None) -> str | None:
    examples = parameter.schema.get("examples", ())
    for example in examples if isinstance(examples, Sequence) else ():
        if isinstance(example, str) and example.lower() in request.lower():
            return example
    if reply is not None:
        bare = _PLEASE.sub("", _LEAD_IN.sub("", reply.strip()).rstrip(".!?, "))
        if bare and len(bare.split()) <= _MAX_REPLY:
            return bare
    for found in _NAME.finditer(reply or request):
        if found[0] not in _NOT_NAMES:
            return re.sub(r"('s)?(\s+(of|de|la))?$", "", found[0])
    phrase = _AFTER.search(reply or request) if parameter.is_required else None
    if phrase is None:
        return None
    words = phrase[1].split()[:_MAX_PHRASE]
    return " ".join(words) or None
