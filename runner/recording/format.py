"""Every event and action of a session as a line of JSON, and back.

    {"at": 1.25, "on": "received", "message": {"type": "reply.started", …}}
    {"at": 1.25, "do": "run_tool", "call": {"type": "tool.call", …}}
    {"at": 1.25, "until": 1.35, "sound": {"mic": 4800, "sent": 4800, …}}

`at` is seconds since the call began. `on` is an event, `do` an action. What is only
sound comes two hundred times a second; it is counted, in bytes, from one other line to
the next and for a tenth of a second at most. Its order within that is not kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from runner.protocol.client.actions import (
    Action,
    Announce,
    CancelTool,
    Close,
    ConfigApplied,
    Connect,
    Drain,
    Notify,
    Outcome,
    RunTool,
    Send,
    StopPlayback,
    Synthesize,
)
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    Event,
    HangUp,
    MalformedMessage,
    PlaybackCut,
    PlaybackDrained,
    Received,
    Reconfigure,
    Say,
    SpeechSynthesized,
    Tick,
    ToolFinished,
)
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.codec import decode_client, decode_server, encode
from runner.protocol.messages import ClientMessage, Message, ServerMessage, ToolCall


@dataclass(slots=True)
class AudioSummary:
    """The sound of a moment, in bytes: PCM16 of the session's encodings.

    `received` is reply.audio of the reply `reply_id`, `audible` what of it was no
    silence, `played` what of it went to the speaker, or was said by the local voice;
    what was sent less than the microphone gave found no line.
    """

    until: float
    mic: int = 0
    sent: int = 0
    received: int = 0
    audible: int = 0
    played: int = 0
    reply_id: str = ""


# What one line says; the time is beside it.
Entry: TypeAlias = Event | Action | AudioSummary


def write_line(at: float, what: Entry) -> dict[str, Any]:
    """Return a line as JSON data; sound must be counted into `AudioSummary` before."""
    line: dict[str, Any] = {"at": round(at, 6)}
    match what:
        case AudioSummary():
            line["until"] = round(what.until, 6)
            line["sound"] = {
                name: value for name in _SOUNDS if (value := getattr(what, name))
            }
            return line
        case Received(message):
            return {**line, "on": "received", "message": _message(message)}
        case Send(message):
            return {**line, "do": "send", "message": _message(message)}
        case RunTool(call):
            return {**line, "do": "run_tool", "call": _message(call)}
        case Disconnected():
            fields = {
                "reason": what.reason,
                "code": what.code,
                "status": what.status,
                "unsent": [_message(each) for each in what.unsent],
            }
            return {**line, "on": "disconnected", **fields}
        case Connect(token):
            # The token is a key for half a minute: only that there was one is told.
            return {**line, "do": "connect", "resumes": token is not None}
        case SpeechSynthesized():
            # Its sound is counted when it is played.
            fields = {"call_id": what.call_id, "bytes": len(what.pcm)}
            return {**line, "on": "voiced", **fields}
        case Close():
            fields = {**asdict(what), "outcome": what.outcome.value}
            return {**line, "do": "close", **fields}
        case _:
            key, name = _NAMES[type(what)]
            return {**line, key: name, **asdict(what)}


def read_line(line: dict[str, Any]) -> tuple[float, Entry] | None:
    """Read a line; None for a kind that this version does not know.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, RemoteProtocolError: the line
            is broken.
    """
    at = _seconds(line["at"])
    if "sound" in line:
        known = {k: v for k, v in line["sound"].items() if k in _SOUNDS}
        return at, AudioSummary(_seconds(line["until"]), **known)
    name = line.get("on") or line.get("do")
    read = _READERS.get(str(name))
    return None if read is None else (at, read(line))


_NAMES: dict[type, tuple[str, str]] = {
    Connected: ("on", "connected"),
    MalformedMessage: ("on", "garbled"),
    ToolFinished: ("on", "tool_finished"),
    PlaybackDrained: ("on", "playback_drained"),
    PlaybackCut: ("on", "playback_cut"),
    Say: ("on", "say"),
    Reconfigure: ("on", "reconfigure"),
    HangUp: ("on", "hang_up"),
    Tick: ("on", "tick"),
    StopPlayback: ("do", "stop_playback"),
    Drain: ("do", "drain"),
    CancelTool: ("do", "cancel_tool"),
    Synthesize: ("do", "voice"),
    Announce: ("do", "announce"),
    ConfigApplied: ("do", "adopt"),
    Notify: ("do", "notify"),
}
# Stands for sound that was audible: a sample of it.
LOUD = b"\0\x40"
_LATEST = 1e6  # seconds: eleven days, and so a broken line
_SOUNDS = ("mic", "sent", "received", "audible", "played", "reply_id")


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not 0 <= seconds <= _LATEST:  # what is no number neither
        raise ValueError(f"{value} is no time of a call")
    return seconds


def _message(message: Message) -> Any:
    data = json.loads(encode(message))
    if data.get("resume_token"):
        data["resume_token"] = "***"
    return data


def _server(data: Any) -> ServerMessage:
    return decode_server(json.dumps(data))


def _client(data: Any) -> ClientMessage:
    return decode_client(json.dumps(data))


def _call(data: Any) -> ToolCall:
    message = _server(data)
    if not isinstance(message, ToolCall):
        raise ValueError("run_tool without a call")
    return message


def _reconfigure(line: dict[str, Any]) -> Reconfigure:
    known = ToolPolicy.__dataclass_fields__  # a later version may have added some
    rules = {
        name: ToolPolicy(**{key: each[key] for key in known if key in each})
        for name, each in line["tools"].items()
    }
    return Reconfigure(line["session"], rules)


_READERS: dict[str, Callable[[dict[str, Any]], Event | Action]] = {
    "connected": lambda line: Connected(),
    "received": lambda line: Received(_server(line["message"])),
    "garbled": lambda line: MalformedMessage(line["reason"]),
    "disconnected": lambda line: Disconnected(
        line["reason"],
        line["code"],
        line["status"],
        [_client(each) for each in line["unsent"]],
    ),
    "tool_finished": lambda line: ToolFinished(
        line["call_id"], line["text"], line["is_error"]
    ),
    "voiced": lambda line: SpeechSynthesized(
        line["call_id"], LOUD * (line["bytes"] // 2)
    ),
    "playback_drained": lambda line: PlaybackDrained(),
    "playback_cut": lambda line: PlaybackCut(
        line["reply_id"], float(line["played_ms"]), float(line["dropped_ms"])
    ),
    "say": lambda line: Say(line["text"]),
    "reconfigure": _reconfigure,
    "hang_up": lambda line: HangUp(line["reason"], line["after_playback"]),
    "tick": lambda line: Tick(),
    "connect": lambda line: Connect("***" if line["resumes"] else None),
    "send": lambda line: Send(_client(line["message"])),
    "stop_playback": lambda line: StopPlayback(),
    "drain": lambda line: Drain(),
    "run_tool": lambda line: RunTool(_call(line["call"])),
    "cancel_tool": lambda line: CancelTool(line["call_id"]),
    "voice": lambda line: Synthesize(line["call_id"], line["text"]),
    "announce": lambda line: Announce(line["text"]),
    "adopt": lambda line: ConfigApplied(),
    "notify": lambda line: Notify(line["text"]),
    "close": lambda line: Close(
        Outcome(line["outcome"]), line["reason"], line["hint"], line["drain"]
    ),
}
