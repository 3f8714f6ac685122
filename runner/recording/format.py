"""Every event and action of a session as a line of JSON, and back.

    {"at": 1.25, "on": "received", "message": {"type": "reply.started", …}}
    {"at": 1.25, "do": "run_tool", "call": {"type": "tool.call", …}}
    {"at": 1.25, "until": 1.35, "sound": {"mic": 4800, "sent": 4800, …}}

`at` is seconds since the call began. `on` is an event, `do` an action. What is only
sound comes two hundred times a second; it is counted, in bytes, from one other line to
the next and for a tenth of a second at most. Its order within that is not kept.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any, TypeAlias

from runner.errors import VagentError
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
    Play,
    RunTool,
    Send,
    StopPlayback,
    Synthesize,
)
from runner.protocol.client.announcements import is_audible
from runner.protocol.client.config import ClientConfig, IdlePolicy, Timeouts
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    Event,
    HangUp,
    MalformedMessage,
    MicFrame,
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
from runner.protocol.codec import decode_client, decode_server, dumps, encode
from runner.protocol.messages import (
    ClientMessage,
    InputAudio,
    JsonObject,
    Message,
    ReplyAudio,
    ServerMessage,
    ToolCall,
)


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


# The first line of a recording: what ran, where, and with what configuration.


# Raised when a reader of this version would misread what a later one writes. What is
# only added (a key, a kind of line) does not raise it: readers ignore what they don't
# know.
FORMAT_VERSION = 1


class InvalidRecording(VagentError):
    """A folder without a recording, or one that this version cannot read."""


@dataclass(frozen=True, slots=True)
class RecordedAgent:
    """The agent file of a call; a copy of its text lies beside as agent.yaml."""

    name: str
    path: str  # as it was given
    sha256: str


@dataclass(frozen=True, slots=True)
class Header:
    """Everything that a replay needs besides what happened.

    `started` is ISO 8601 with a time zone. `seed` is that of the session's own lots
    (the jitter of its pauses before it connects again). `config` is the client
    session's, secrets masked.
    """

    agent: RecordedAgent
    service: str
    config: ClientConfig
    seed: int
    started: str
    vagent: str
    python: str
    platform: str
    variables: Mapping[str, str] = field(default_factory=dict)
    has_sound: bool = True
    is_redacted: bool = False
    version: int = FORMAT_VERSION


def write_header(header: Header) -> dict[str, Any]:
    """Return the first line as JSON data."""
    return {"type": "vagent.recording", **asdict(header)}


def read_header(line: Any) -> Header:
    """Read the first line.

    Raises:
        NotARecording: it is none, or of a version that this one cannot read.
    """
    if not isinstance(line, dict) or line.get("type") != "vagent.recording":
        raise InvalidRecording("this is no recording of vagent's")
    version = line.get("version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise InvalidRecording(
            f"this recording has format {version}, and this vagent reads up to "
            f"{FORMAT_VERSION}",
            hint="use the vagent that made it, or a newer one",
        )
    try:
        header = Header(
            agent=RecordedAgent(**_known(RecordedAgent, line["agent"])),
            config=read_config(line["config"]),
            **{
                key: value
                for key, value in _known(Header, line).items()
                if key not in ("agent", "config")
            },
        )
        _check_texts(header)
        _check_texts(header.agent)
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidRecording(
            f"the header of this recording is broken: {error}"
        ) from None
    return header


def read_config(value: JsonObject) -> ClientConfig:
    """Read a client session's configuration."""
    known = _known(ClientConfig, value)
    return ClientConfig(
        **{
            **known,
            "tools": {
                name: ToolPolicy(**_known(ToolPolicy, rules))
                for name, rules in value["tools"].items()
            },
            "idle": IdlePolicy(**_known(IdlePolicy, value["idle"])),
            "patience": Timeouts(**_known(Timeouts, value["patience"])),
        }
    )


def _check_texts(value: Header | RecordedAgent) -> None:
    for name, each in value.__dataclass_fields__.items():
        if each.type == "str" and not isinstance(getattr(value, name), str):
            raise TypeError(f"'{name}' is no text")


def _known(kind: Any, value: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a later version has added."""
    return {key: value[key] for key in kind.__dataclass_fields__ if key in value}


# Sound as lines: counted from one other line to the next.


# The longest stretch that one line counts, in seconds.
LONGEST = 0.1


def sound_text(at: float, sound: AudioSummary) -> str:
    """Return the line of a sound as JSON text: as `write_line` says it, and quicker.

    Of all lines of a recording nine in ten are these.
    """
    parts = []
    if sound.mic:
        parts.append(f'"mic":{sound.mic}')
    if sound.sent:
        parts.append(f'"sent":{sound.sent}')
    if sound.received:
        parts.append(f'"received":{sound.received}')
    if sound.audible:
        parts.append(f'"audible":{sound.audible}')
    if sound.played:
        parts.append(f'"played":{sound.played}')
    if sound.reply_id:
        parts.append(f'"reply_id":{json.dumps(sound.reply_id)}')
    inner = ",".join(parts)
    until = round(sound.until, 6)
    return f'{{"at":{round(at, 6)},"until":{until},"sound":{{{inner}}}}}'


class AudioCounter:
    """Sums up sound; `finished` lines wait there, each with its time, to be taken."""

    def __init__(self) -> None:
        self.finished: list[tuple[float, AudioSummary]] = []
        self._began = 0.0
        self._sound: AudioSummary | None = None

    def note(self, at: float, what: Event | Action) -> bool:
        """Count an event or action that is only sound; return whether it is that."""
        # Hundreds of these come a second: types are compared, not matched.
        kind = type(what)
        if kind is MicFrame:
            self._open(at).mic += len(what.pcm)  # type: ignore[union-attr]  # its type was compared
        elif kind is Play:
            self._open(at).played += len(what.pcm)  # type: ignore[union-attr]  # its type was compared
        elif kind is Send:
            message = what.message  # type: ignore[union-attr]  # its type was compared
            if type(message) is not InputAudio:
                return False
            self._open(at).sent += len(message.pcm)
        elif kind is Received:
            message = what.message  # type: ignore[union-attr]  # its type was compared
            if type(message) is not ReplyAudio:
                return False
            pcm = message.pcm
            sound = self._open_reply(at, message.reply_id)
            sound.received += len(pcm)
            if is_audible(pcm):
                sound.audible += len(pcm)
        else:
            return False
        return True

    def cut(self) -> None:
        """Finish the line that is being counted, if there is one."""
        if self._sound is not None:
            self.finished.append((self._began, self._sound))
            self._sound = None

    def _open(self, at: float) -> AudioSummary:
        """Return the line to count into."""
        sound = self._sound
        if sound is not None:
            if at - self._began <= LONGEST:
                sound.until = at
                return sound
            self.cut()
        self._began = at
        self._sound = sound = AudioSummary(at)
        return sound

    def _open_reply(self, at: float, reply_id: str) -> AudioSummary:
        if self._sound is not None and self._sound.reply_id not in ("", reply_id):
            self.cut()
        sound = self._open(at)
        sound.reply_id = reply_id
        return sound


# A file of JSON lines that is read while it grows, or after a kill.


# Flushes between two looks whether the file is still there: about a second of a call.
_LOOK_EVERY = 20


class LineFile:
    """Gathers lines and writes them all at once; raises OSError when that fails.

    The system's own cache is enough against the end of this program; nothing here
    waits for the disk itself.
    """

    def __init__(self, path: Path) -> None:
        """Make the file; raises FileExistsError for one that is there."""
        # Unbuffered: what a full disk refused must not be tried again in `close`.
        self._file = FileIO(path, "xb")
        self._pending: list[bytes] = []
        self._flushes = 0
        self.bytes = 0  # appended so far
        self.is_broken = False  # it may end with half a line

    def append(self, value: Mapping[str, Any]) -> None:
        """Add a line, to be written with the next `flush`."""
        self.append_text(dumps(value))

    def append_text(self, text: str) -> None:
        """Add a line that is JSON text already."""
        line = text.encode() + b"\n"
        self.bytes += len(line)
        self._pending.append(line)

    def flush(self) -> None:
        """Write what was appended."""
        self._flushes += 1
        if self._flushes % _LOOK_EVERY == 0:
            self._look()
        if not self._pending:
            return
        view = memoryview(b"".join(self._pending))
        self._pending.clear()
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            self.is_broken = True
            raise

    def close(self) -> None:
        """Close the file; harmless when it is closed."""
        self._file.close()

    def _look(self) -> None:
        # Where open files can be removed, writing to them goes on without an error.
        if os.fstat(self._file.fileno()).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "the folder was removed")
