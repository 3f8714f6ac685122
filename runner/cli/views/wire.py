"""The wire view of a call: one line per message, with transcripts.

Messages and transcripts go to stdout, everything else to stderr. On a terminal, partial
transcripts overwrite one line; elsewhere there are none, and no control characters.
"""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from statistics import median
from typing import TextIO

from runner.audio.devices import BYTES_PER_MS
from runner.cli.output import printable
from runner.config.diagnostics import Diagnostic, render
from runner.errors import counted, os_error_text
from runner.observers.call_stats import CallStats, Counters, describe_all, format_losses
from runner.protocol.client.actions import (
    Action,
    Announce,
    Close,
    Notify,
    Outcome,
    Send,
)
from runner.protocol.client.events import Event, Received, ToolFinished
from runner.protocol.messages import (
    ClientMessage,
    ConversationMessage,
    InputAudio,
    ReplyAudio,
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
    TranscriptUserDelta,
    Unknown,
)

_ERASE_LINE = "\r\x1b[K"


class Detail(IntEnum):
    """The level of detail of a view."""

    QUIET = 0  # final transcripts
    NORMAL = 1  # every message except audio and partial transcripts
    VERBOSE = 2  # every message


@dataclass(slots=True)
class Printer:
    """Writes lines; a stream that fails is not written any more.

    If the reader of stdout has exited (`| head -1`), `on_reader_gone` is called.
    Another failure, such as a full disk, is reported once on stderr, and the call
    continues. The first failure of stdout is kept in `failure`.
    """

    out: TextIO
    err: TextIO
    mask: Callable[[str], str] = str  # redacts secrets; set once they are known
    on_reader_gone: Callable[[], None] = lambda: None
    failure: OSError | None = None
    _failed: list[TextIO] = field(default_factory=list)

    def line(self, text: str) -> None:
        """Writes a line to stdout."""
        self._write(self.out, _wrapped(self.clean(text), self.out) + "\n")

    def overwrite(self, text: str) -> None:
        """Writes text that the next `overwrite` replaces; on a terminal only."""
        self._write(self.out, _ERASE_LINE + self.clean(text))

    def notice(self, text: str) -> None:
        """Writes a line to stderr."""
        self._write(self.err, _wrapped(self.clean(text), self.err) + "\n")

    def raw(self, text: str) -> None:
        """Writes text unchanged, with its control sequences."""
        self._write(self.out, text)

    def clean(self, text: str) -> str:
        """Returns text without secrets, control characters and line breaks."""
        return printable(self.mask(text))

    def _write(self, stream: TextIO, text: str) -> None:
        if any(stream is each for each in self._failed):
            return
        try:
            try:
                stream.write(text)
            except UnicodeEncodeError as error:
                codec = error.encoding
                stream.write(text.encode(codec, "backslashreplace").decode(codec))
            stream.flush()
        except ValueError:  # closed by other code
            self._failed.append(stream)
        except OSError as error:
            self._failed.append(stream)
            if stream is not self.out:
                return
            self.failure = error
            if isinstance(error, BrokenPipeError):
                self.on_reader_gone()
            else:
                reason = os_error_text(error)
                self.notice(f"stdout: {reason}; the call continues without output")


def _wrapped(text: str, stream: TextIO) -> str:
    """Returns a line for a terminal with breaks between words; others unchanged."""
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    if len(text) < width // 2:  # short, even if each character has two cells
        return text
    lines = textwrap.wrap(
        text,
        width,
        subsequent_indent="  ",
        break_on_hyphens=False,
        replace_whitespace=False,
    )
    return "\n".join(lines)


@dataclass(slots=True)
class WireView:
    """An observer of the engine that prints; `record` supplies the latencies."""

    printer: Printer
    record: CallStats
    detail: Detail = Detail.NORMAL
    is_terminal: bool = False
    _partial: bool = False
    _reply_ms: float = 0.0
    _waits_shown: int = 0

    def observe(self, at: float, what: Event | Action) -> None:
        """Shows an event or an action."""
        match what:
            case Send(InputAudio(pcm)):
                if self.detail is Detail.VERBOSE:
                    self._line(f"→ input.audio {_ms(pcm):.0f} ms")
            case Send(message):
                self._wire(f"→ {describe_sent(message)}")
            case Received(ReplyAudio() as audio):
                self._audio(audio)
            case Received(TranscriptUserDelta(text=text)):
                self._show_partial(text)
            case Received(message):
                self._received(message)
            case ToolFinished(call_id, is_error=is_error):
                self._tool_finished(at, call_id, is_error)
            case _:
                self._other(what)

    def notice(self, text: str) -> None:
        """Prints a notice."""
        self._clear_partial()
        self.printer.notice(f"* {text}")

    def findings(self, found: Sequence[Diagnostic]) -> None:
        """Prints the findings in an edited agent file, in the format of validate."""
        self._clear_partial()
        for line in render(found).splitlines():
            self.printer.notice(line)

    def recording(self, folder: Path) -> None:
        """Prints the folder of the recording."""
        self.printer.notice(f"recorded in {folder}")

    def summary(self, close: Close, counters: Counters) -> None:
        """Prints the summary, the last lines of a call."""
        record = self.record
        has_failed = close.outcome is not Outcome.CLEAN
        has_none = has_failed and not record.answers
        parts = [] if has_none else [counted(record.answers, "answer")]
        if record.waits:
            parts.append(
                f"first audio after {median(record.waits):.2f} s (median), "
                f"{max(record.waits):.2f} s (longest)"
            )
        if record.calls:
            failed = sum(call.is_error for call in record.calls.values())
            parts.append(f"{counted(len(record.calls), 'tool call')}, {failed} failed")
        if record.interruptions:
            parts.append(counted(record.interruptions, "interruption"))
        if parts:
            self.printer.notice("; ".join(parts))
        losses = format_losses(counters)
        if self.detail is Detail.VERBOSE:
            self.printer.notice(describe_all(counters))
        elif losses:
            self.printer.notice("; ".join(losses))

    def _other(self, what: Event | Action) -> None:
        match what:
            case Announce(text):
                self._line(f"Agent:  {text}")
            case Notify(text):
                self.notice(text)
            case Close(reason=reason):
                self._clear_partial()
                self.printer.notice(f"{reason}.")
            case _:
                pass

    def _received(self, message: object) -> None:
        match message:
            case TranscriptAgentDelta() if self.detail is not Detail.VERBOSE:
                return
            case ReplyStarted():
                self._reply_ms = 0.0
        text = describe_received(message)
        if isinstance(message, ReplyDone):
            text += f", {self._reply_ms / 1000:.1f} s of audio"
        self._wire(f"← {text}")
        match message:
            case TranscriptUser(text=text) if text.strip():
                self._line(f"You:    {text}")
            case TranscriptAgent(text=text, interrupted=interrupted) if text.strip():
                self._line(f"Agent:  {text}{' —' if interrupted else ''}")

    def _audio(self, audio: ReplyAudio) -> None:
        self._reply_ms += _ms(audio.pcm)
        if self.detail is Detail.VERBOSE:
            self._line(f"← reply.audio {_ms(audio.pcm):.0f} ms ({audio.reply_id})")
        if len(self.record.waits) > self._waits_shown:
            self._waits_shown = len(self.record.waits)
            if self.detail is not Detail.QUIET:
                self._line(f"        first audio after {self.record.waits[-1]:.2f} s")

    def _tool_finished(self, at: float, call_id: str, is_error: bool) -> None:
        call = self.record.calls.get(call_id)
        if call is None or self.detail is Detail.QUIET:
            return
        took = f"after {at - call.began:.2f} s"
        state = "failed" if is_error else "ran"
        self._clear_partial()
        self.printer.notice(f"* {call.name} {state} {took}")

    def _show_partial(self, text: str) -> None:
        if not self.is_terminal:
            return
        width = shutil.get_terminal_size().columns - 4
        shown = text if len(text) < width else "…" + text[-(width - 2) :]
        self.printer.overwrite(f"  … {shown}")
        self._partial = True

    def _clear_partial(self) -> None:
        if self._partial:
            self.printer.overwrite("")
            self._partial = False

    def _wire(self, text: str) -> None:
        if self.detail is not Detail.QUIET:
            self._line(text)

    def _line(self, text: str) -> None:
        self._clear_partial()
        self.printer.line(text)


def _ms(pcm: bytes) -> float:
    return len(pcm) / BYTES_PER_MS


MAX_SHOWN_CHARACTERS = 100  # of a value in a message


def shorten(text: str, max_characters: int = MAX_SHOWN_CHARACTERS) -> str:
    """Returns a text on one line, cut in the middle if it is too long."""
    text = " ".join(text.split())
    if len(text) <= max_characters:
        return text
    head = max_characters * 2 // 3
    return f"{text[:head]} … {text[head + 3 - max_characters :]}"


def describe_sent(message: ClientMessage) -> str:
    """Returns one line of text for a client message. Audio is shown by its length."""
    match message:
        case SessionUpdate(session):
            return f"session.update ({_describe_session(session)})"
        case SessionResume(session_id):
            return f"session.resume ({session_id})"
        case InputAudio(pcm):
            return f"input.audio {_ms(pcm):.0f} ms"
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
    """Returns one line of text for a server message."""
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
            values = shorten(json.dumps(arguments, ensure_ascii=False))
            return f"tool.call {name}({values}) id={call_id}"
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
        parts.append(f"prompt of {counted(len(fields['system_prompt']), 'character')}")
    if fields.get("greeting"):
        parts.append("greeting")
    if fields.get("tools"):
        names = ", ".join(tool["name"] for tool in fields["tools"])
        parts.append(f"tools {names}")
    output = fields.get("output", {})
    parts += [f"{key} {output[key]}" for key in ("voice", "volume") if key in output]
    if "system_prompt" not in fields:  # a change: show the changed input settings too
        parts += [key.replace("_", " ") for key in fields.get("input", {})]
    return "; ".join(parts) or "no fields"
