"""One line of text for a message on the wire, made for reading.

Sound is never shown as base64, long text is cut in the middle.
"""

from __future__ import annotations

import json

from runner.audio.devices import BYTES_PER_MS
from runner.protocol.messages import (
    ClientMessage,
    ConversationMessage,
    InputAudio,
    ReplyCancel,
    ReplyCreate,
    ReplyDone,
    ReplyStarted,
    SessionEnded,
    SessionError,
    SessionReady,
    SessionResume,
    SessionUpdate,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    Unknown,
)

LONGEST = 100  # characters of a value that are shown


def shorten(text: str, longest: int = LONGEST) -> str:
    """Cut a text in the middle and keep it on one line."""
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    head = longest * 2 // 3
    return f"{text[:head]} … {text[head + 3 - longest :]}"


def printable(text: str) -> str:
    """Put a space for what would command a terminal or fake a line."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else " " for each in text)


def describe_sent(message: ClientMessage) -> str:
    """Return the line of a client's message, without the arrow."""
    match message:
        case SessionUpdate(session):
            return f"session.update ({_describe_session(session)})"
        case SessionResume(session_id):
            return f"session.resume ({session_id})"
        case InputAudio(pcm):
            return f"input.audio {len(pcm) / BYTES_PER_MS:.0f} ms"
        case ToolResult(call_id, result, is_error):
            error = " is_error" if is_error else ""
            return f"tool.result {shorten(result)}{error} id={call_id}"
        case ReplyCreate(instructions):
            return f"reply.create {shorten(instructions or '')}".rstrip()
        case ReplyCancel(reply_id):
            return f"reply.cancel ({reply_id})"
        case ConversationMessage(role, content):
            return f"conversation.message {role}: {shorten(content)}"
        case _:
            return message.TYPE


def describe_received(message: object) -> str:
    """Return the line of a server's message, without the arrow."""
    match message:
        case SessionReady(session_id):
            return f"session.ready ({session_id})"
        case SessionError(code, text):
            return f"session.error {code}: {text}"
        case SessionEnded(seconds) if seconds is not None:
            return f"session.ended ({seconds:.1f} s)"
        case ReplyStarted(reply_id):
            return f"reply.started ({reply_id})"
        case ReplyDone(reply_id, status):
            return f"reply.done ({reply_id}) {status}"
        case ToolCall(call_id, name, arguments):
            said = json.dumps(arguments, ensure_ascii=False)
            return f"tool.call {name}({shorten(said)}) id={call_id}"
        case TranscriptUser() | TranscriptAgent():
            return message.TYPE
        case TranscriptAgentDelta(delta):
            return f"transcript.agent.delta {delta!r}"
        case Unknown(name):
            return f"{name} (unknown to this version)"
        case _:
            return str(getattr(message, "TYPE", type(message).__name__))


def _describe_session(session: object) -> str:
    fields = dict(session) if isinstance(session, dict) else {}
    parts: list[str] = []
    if "system_prompt" in fields:
        parts.append(f"prompt of {len(fields['system_prompt'])} characters")
    if fields.get("greeting"):
        parts.append("greeting")
    if fields.get("tools"):
        names = ", ".join(tool["name"] for tool in fields["tools"])
        parts.append(f"tools {names}")
    output = fields.get("output", {})
    parts += [f"{key} {output[key]}" for key in ("voice", "volume") if key in output]
    if "system_prompt" not in fields:  # a change: then what is heard is news
        parts += [key.replace("_", " ") for key in fields.get("input", {})]
    return "; ".join(parts) or "no fields"
