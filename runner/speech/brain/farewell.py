"""How a call is ended: with a goodbye, by the tool for it, and never by mistake.

Hanging up on a caller is the worst guess a mind can make, and no argument of such a
tool could be held against the caller's words; so the words themselves must allow it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from runner.speech.brain.numerals import spoken_tokens
from runner.speech.brain.signature import Signature
from runner.speech.parts import CallerSaid, Turn

GOODBYE = "Thank you for calling. Goodbye!"
_BYE = frozenset(("bye", "goodbye", "byebye", "cheerio", "farewell"))
# Said alone or with thanks, these end a call as plainly as goodbye does.
_CLEAR = re.compile(
    r"\b(hang up|end (the|this|our) (call|conversation)|talk to you (later|soon)|"
    r"(that|this)('s| is| was) (all|it|everything)|nothing (else|more)|"
    r"(that|this)('ll| will| would) be (all|it|everything))\b"
)
_LEAVING = re.compile(
    r"\b(good[ -]?bye|bye|farewell|cheerio|see (you|ya)|so long|hanging up|"
    r"no,? (thanks|thank you|that|i'm good|i am good|i'm fine)|"
    r"i'?( a)?m (all set|done|finished|good)|that('ll| will| would) do|"
    r"(have a|good) (\w+ )?(day|evening|night|weekend|one|afternoon))\b"
)
_MENTIONED = re.compile(r"\b(say|saying|said|word|before|mean)\b")
# Words that may surround a goodbye without asking for anything.
_POLITE = frozenset(
    (
        *("thanks", "thank", "you", "so", "much", "very", "for", "your", "the"),
        *("help", "ok", "okay", "alright", "all", "right", "great", "good", "well"),
        *("no", "now", "that's", "that", "is", "it", "was", "then", "and", "have"),
        *("a", "nice", "day", "i'm", "im", "fine", "done", "set", "see", "later"),
        *("soon", "everything", "nothing", "else", "just", "wonderful", "lovely"),
        *("evening", "night", "yes", "hang", "up", "call", "end", "talk", "perfect"),
        *("bye", "goodbye", "i", "my", "to", "be", "will", "this", "helping"),
    )
)
_MOST_OTHERS = 2


def find_ending_tool(tools: Sequence[Signature]) -> Signature | None:
    """Return the tool that ends the call, if the agent has one."""
    return next((tool for tool in tools if tool.ends_call), None)


def is_goodbye(text: str) -> bool:
    """Whether the caller plainly says goodbye and nothing else of weight."""
    words = spoken_tokens(text.replace("bye-bye", "bye").replace("good bye", "goodbye"))
    lowered = text.lower()
    if "?" in text or _MENTIONED.search(lowered):
        return False
    if not _BYE.intersection(words[-3:]) and not _CLEAR.search(lowered):
        return False
    others = [word for word in words if word not in _POLITE and word not in _BYE]
    return len(others) <= _MOST_OTHERS and not any(w[0].isdecimal() for w in others)


def allows_ending(history: Sequence[Turn]) -> bool:
    """Whether the caller's last words can be meant as the end of the call."""
    last = next((t for t in reversed(history) if isinstance(t, CallerSaid)), None)
    if last is None:
        return False
    text = last.text.lower()
    return bool(_LEAVING.search(text) or _CLEAR.search(text))
