"""Asks for what a tool still needs, from the tool's own words, without the model.

A question that is put together costs no time; the model needs a second for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from runner.speech.brain.grounding import is_alike
from runner.speech.brain.numerals import spoken_tokens
from runner.speech.brain.signature import Signature, Slot

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


def slot_question(slot: Slot) -> str:
    """Return the question for one missing value."""
    name = slot_words(slot)
    choices = slot.schema.get("enum")
    if isinstance(choices, Sequence) and not isinstance(choices, str):
        spoken = [str(choice).replace("_", " ") for choice in choices]
        if 1 < len(spoken) <= 5:
            return f"Which {name}: {', '.join(spoken[:-1])} or {spoken[-1]}?"
    return f"What is the {name}?"


def slot_words(slot: Slot) -> str:
    """Return how a person would call the value: "order number"."""
    text = _CUT.split(slot.description, maxsplit=1)[0].strip()
    text = _ARTICLE.sub("", text)
    if not text or len(text.split()) > _LONGEST_NAME or _SENTENCE.match(text):
        return _words_of(slot.name)
    first = text.split()[0]
    keeps_case = first.isupper() and len(first) > 1
    return text if keeps_case else text[0].lower() + text[1:]


def find_asked(tools: Iterable[Signature], text: str) -> str | None:
    """Return which required value of which tool a spoken question asks for.

    The answer to such a question only makes sense together with the request that came
    before it.
    """
    if not text.rstrip().endswith("?"):
        return None
    words = content_words(text)
    for tool in tools:
        for slot in tool.required:
            wanted = content_words(f"{_words_of(slot.name)} {slot_words(slot)}")
            if not slot.is_free_text and _overlap(words, wanted):
                return f"{tool.name}.{slot.name}"
    return None


def relevance(tool: Signature, text: str) -> int:
    """Return how many words of meaning `text` shares with the tool's own."""
    own = tool_words(tool)
    said = content_words(text)
    return sum(any(is_alike(word, other) for other in own) for word in said)


def tool_words(tool: Signature) -> frozenset[str]:
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
    return any(is_alike(word, other) for word in some for other in others)


def _words_of(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    words = re.split(r"[_\-\s]+", spaced.strip("_- "))
    return " ".join(
        "number" if word.lower() == "id" else word.lower() for word in words
    )
