"""Redaction of numbers and e-mail addresses in recorded conversations.

Each digit becomes `#`. E-mail addresses, written (`a@b.org`) or spoken (`a dot b at c
dot org`), become `[e-mail]`. Two or more English number words in a row become
`[number]`; a single one contains little information, and `one` is not always a number.
Number words of other languages are not redacted.

Redaction is deterministic, so replays of redacted recordings can be compared.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from runner.protocol.client.actions import (
    Action,
    Announce,
    Notify,
    RunTool,
    Send,
    Synthesize,
)
from runner.protocol.client.events import Event, Received, Say, ToolFinished
from runner.protocol.messages import (
    ConversationMessage,
    Message,
    ReplyCreate,
    SessionReady,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    TranscriptUserDelta,
    Unknown,
)
from runner.recording.format import Entry
from runner.redaction import Redactor, map_texts

# The lookbehinds let a match start only at the start of a word: without them, a long
# text without spaces would take quadratic time.
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_JOINT = r"\s+(?:dot|dash|hyphen|underscore)\s+"
_SPOKEN_EMAIL = re.compile(
    rf"(?<![\w.-])[\w.-]+(?:{_JOINT}[\w.-]+){{0,5}}\s+at\s+[\w-]+(?:\s+dot\s+\w+){{1,4}}",
    re.IGNORECASE,
)
_WORD = (
    "(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen"
    "|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty"
    "|sixty|seventy|eighty|ninety|hundred|thousand|million|double|triple)"
)
_NUMBER = re.compile(
    rf"(?<!\w){_WORD}(?:[\s,-]+(?:and\s+)?{_WORD})+(?!\w)", re.IGNORECASE
)
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"\w")


def add_resume_token(redactor: Redactor, what: Event | Action) -> None:
    """Adds the resume token of a session.ready message to the redactor's secrets."""
    match what:
        case Received(SessionReady(resume_token=token)) if token:
            redactor.add((token,))


def redact_text(text: str) -> str:
    """Returns a text without digits, number words in a row and e-mail addresses."""
    text = _EMAIL.sub("[e-mail]", text)
    text = _SPOKEN_EMAIL.sub("[e-mail]", text)
    return _DIGIT.sub("#", _NUMBER.sub("[number]", text))


def redact_tree(value: Any) -> Any:
    """Returns a value of JSON's data model with all texts and numbers redacted."""
    return map_texts(value, redact_text)


def redact(what: Entry) -> Entry:
    """Redacts texts of callers, agents and tools; not ids, times and settings."""
    match what:
        case Received(message):
            redacted: Any = _redact_message(message)
            return what if redacted is message else Received(redacted)
        case Send(message):
            redacted = _redact_message(message)
            return what if redacted is message else Send(redacted)
        case Say(text) | Notify(text) | Announce(text) | Synthesize(text=text):
            return replace(what, text=redact_text(text))
        case RunTool(call):
            return RunTool(replace(call, arguments=redact_tree(call.arguments)))
        case ToolFinished(text=text):
            return replace(what, text=redact_text(text))
        case _:
            return what


def _redact_message(message: Message) -> Message:
    match message:
        case TranscriptUser(text=text) | TranscriptAgent(text=text):
            return replace(message, text=redact_text(text))
        # Deltas could be combined again, so all their letters are redacted.
        case TranscriptUserDelta(text=text):
            return replace(message, text=_LETTER.sub("#", text))
        case TranscriptAgentDelta(delta=text):
            return replace(message, delta=_LETTER.sub("#", text))
        case ToolCall(arguments=arguments):
            return replace(message, arguments=redact_tree(arguments))
        case ToolResult(result=text):
            return replace(message, result=redact_text(text))
        case ConversationMessage(content=text):
            return replace(message, content=redact_text(text))
        case ReplyCreate(instructions=str(text)):
            return replace(message, instructions=redact_text(text))
        case Unknown(fields=fields):
            return replace(message, fields=redact_tree(fields))
        case _:
            return message
