"""Sentences of a prompt that ask for what only a page can show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# How an answer is told to look; what a caller, a tool or a document does is put in
# other words ("callers use", "is written in").
_ANSWER = (
    r"answer|respond|reply|write|format|output|return|present|structure|summari[sz]e"
)
_ADD = r"use|using|add|include|insert|put|give|provide|share|" + _ANSWER
# What is talked about is no wish: "answer questions about Markdown".
_GAP = r"\b(?:(?!\b(?:about|questions?)\b)[^\"“”]){0,60}?"
_TOPIC = (
    r"(?!\s+(?:knowledge|skills?|experience|courses?|class(?:es)?|files?|syntax)\b)"
)
_PAGE = (
    r"markdown|bullet[ -]?points?|bullet(?:ed)? lists?|bullets|numbered lists?|"
    r"code[ -]?blocks?|emojis?|emoticons|asterisks|html(?: tags)?|(?<=in )bold|"
    r"bold (?:text|type)|italics|headings|markdown tables?"
)
_REQUESTS = (
    rf"\b(?:{_ADD}){_GAP}\b(?P<what>{_PAGE})\b{_TOPIC}",
    # A restaurant has tables and a bank lists: here they are the form of an answer.
    rf"\b(?:{_ANSWER}|show|give|list){_GAP}\b(?:in|as) (?:a |an )?(?:short |neat )?"
    r"(?P<what>tables?|lists?|list form|list format)\b(?! of\b)",
    r"\b(?:include|add|insert|provide|share|read out|give)\b[^\"“”]{0,30}?\b"
    r"(?P<what>hyperlinks?|links?|urls?)\b"
    r"(?=\s*[.,;!?)]|\s*\Z|\s+(?:to|for|of|at|and|or|when|if|where|in (?:your|the))\b)",
)
_NOT = (
    r"\b(?:no|not|never|without|avoid|nor|neither|none|instead of|rather than|cannot|"
    r"skip|omit|refrain|forbidden|free of|leave out|bad|wrong|don.?ts?)\b|n['’]t\b"
)
# What goes through another channel, or what someone else wishes.
_ELSEWHERE = (
    r"\b(?:e-?mails?|text messages?|by text|text (?:them|him|her)|sms|whatsapp|"
    r"letters?|tickets?|chat|notes?|reports?|logs?|documents?|screen)\b|"
    r"\b(?:asks?|wants?|requests?|begs?|tells?) (?:you|for|to)\b"
)
_BULLET = r"[ \t]*(?:[-*+•]|\d+[.)])[ \t]"


class MarkupRequest(NamedTuple):
    """What a prompt asks for, by offsets into it."""

    what: str
    start: int
    end: int


def find_requests(prompt: str) -> Iterator[MarkupRequest]:
    """Yield what a prompt asks to be formatted: at most one to a sentence."""
    lead = ""
    for start, block in _blocks(prompt):
        is_item = re.match(_BULLET, block) is not None
        for at, sentence in _sentences(block):
            context = lead + " " + sentence if is_item else sentence
            if re.search(f"{_NOT}|{_ELSEWHERE}", context, re.IGNORECASE):
                continue
            for pattern in _REQUESTS:
                found = re.search(pattern, sentence, re.IGNORECASE)
                if found and sentence.count('"', 0, found.start("what")) % 2 == 0:
                    offset = start + at
                    first, last = found.span("what")
                    yield MarkupRequest(found["what"], offset + first, offset + last)
                    break
        if not is_item:
            lead = block.rstrip().rpartition("\n")[2]


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield the paragraphs and the items of lists, each with its offset."""
    ends = rf"\n[ \t]*\n|\n(?={_BULLET})|\n(?=[ \t]*#)|(?<=:)[ \t]*\n"
    start = 0
    for found in re.finditer(ends, text):
        yield start, text[start : found.start()]
        start = found.end()
    yield start, text[start:]


def _sentences(block: str) -> Iterator[tuple[int, str]]:
    for found in re.finditer(r"(?s).+?(?:[.!?;](?=\s)|\Z)", block):
        yield found.start(), found[0]
