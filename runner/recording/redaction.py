"""Takes personal figures and addresses out of what was said, for recordings.

Digits become `#`, one for one. E-mail addresses become `[e-mail]`, spelt (`a@b.org`) or
spoken (`a dot b at c dot org`). Two or more English number words in a row become
`[number]`; a single one says too little, and `one` is not always a number. Number words
of other languages stay.

The same text always becomes the same, so a replay of what was redacted is redacted.
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

# The looks behind let a search begin at the beginning of a word only: without them a
# long text without spaces would take its length squared.
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


def learn_token(redactor: Redactor, what: Event | Action) -> None:
    """Redact from now on the token with which the service lets a session resume."""
    match what:
        case Received(SessionReady(resume_token=token)) if token:
            redactor.add((token,))


def redact_text(text: str) -> str:
    """Return a text without digits, number words in a row and e-mail addresses."""
    text = _EMAIL.sub("[e-mail]", text)
    text = _SPOKEN_EMAIL.sub("[e-mail]", text)
    return _DIGIT.sub("#", _NUMBER.sub("[number]", text))


def redact_tree(value: Any) -> Any:
    """Redact every text and number of a value of JSON's data model; numbers to text."""
    return map_texts(value, redact_text)


def redact(what: Entry) -> Entry:
    """Redact what callers, agents and tools said; ids, times and settings stay."""
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
        # What comes in pieces could be put together again.
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
