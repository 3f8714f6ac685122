"""The recording format: events and actions of a session as JSON lines, and the header.

    {"at": 1.25, "on": "received", "message": {"type": "reply.started", …}}
    {"at": 1.25, "do": "run_tool", "call": {"type": "tool.call", …}}
    {"at": 1.25, "until": 1.35, "sound": {"mic": 4800, "sent": 4800, …}}

`at` is seconds since the call began. `on` is an event, `do` an action. Audio arrives
two hundred times a second; its bytes are summed up between two other lines, for a tenth
of a second at most. The order of audio within a sum is lost.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from io import FileIO
from pathlib import Path
from types import UnionType
from typing import (
    Any,
    Literal,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from runner.audio.devices import SAMPLE_BYTES, SAMPLE_RATE
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
from runner.safe_files import open_private


@dataclass(slots=True)
class AudioSummary:
    """Audio of a short time, in bytes of PCM16.

    `mic` is of the microphone, `sent` the part of it that was sent. `received` is
    reply.audio of the reply `reply_id`, and `audible` the part of it that is not
    silence. `played` went to the speaker, local announcements included.
    """

    until: float
    mic: int = 0
    sent: int = 0
    received: int = 0
    audible: int = 0
    played: int = 0
    reply_id: str = ""


# The content of a line without its time.
Entry: TypeAlias = Event | Action | AudioSummary


def write_line(at: float, what: Entry) -> dict[str, Any]:
    """Returns a line as JSON data; audio must be an `AudioSummary`."""
    line: dict[str, Any] = {"at": round(at, 6)}
    match what:
        case AudioSummary():
            line["until"] = round(what.until, 6)
            line["sound"] = {
                name: value for name in _AUDIO_FIELDS if (value := getattr(what, name))
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
            # The token is a secret that is valid for half a minute.
            return {**line, "do": "connect", "resumes": token is not None}
        case SpeechSynthesized():
            # Its audio is counted when it is played.
            fields = {"call_id": what.call_id, "bytes": len(what.pcm)}
            return {**line, "on": "voiced", **fields}
        case Close():
            fields = {**asdict(what), "outcome": what.outcome.value}
            return {**line, "do": "close", **fields}
        case _:
            key, name = _NAMES[type(what)]
            return {**line, key: name, **asdict(what)}


def read_line(line: dict[str, Any]) -> tuple[float, Entry] | None:
    """Reads a line; returns None for a kind that this version does not know.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, RemoteProtocolError: the line
            is invalid.
    """
    at = _seconds(line["at"])
    if "sound" in line:
        known = {k: v for k, v in line["sound"].items() if k in _AUDIO_FIELDS}
        summary = AudioSummary(_seconds(line["until"]), **known)
        _check_audio(summary)
        return at, summary
    name = line.get("on") or line.get("do")
    read = _READERS.get(str(name))
    if read is None:
        return None
    entry = read(line)
    check_types(entry)
    return at, entry


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
# An audible sample, which replaces audible audio that was not recorded.
LOUD = b"\0\x40"
_MAX_SECONDS = 1e6  # eleven days: a later time is an invalid line
# A line declares the length of its audio, and readers allocate it. Ten minutes: no
# message of the service is that long.
MAX_AUDIO_BYTES = 10 * 60 * SAMPLE_RATE * SAMPLE_BYTES
_AUDIO_FIELDS = ("mic", "sent", "received", "audible", "played", "reply_id")


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not 0 <= seconds <= _MAX_SECONDS:  # also refuses NaN
        raise ValueError(f"{value} is not a time of a call")
    return seconds


def _audio_bytes(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_AUDIO_BYTES:
        raise ValueError(f"{value!r} is not a length of audio")
    return value


def _check_audio(summary: AudioSummary) -> None:
    # By hand for speed, like the writing of these lines.
    for size in (
        *(summary.mic, summary.sent),
        *(summary.received, summary.audible, summary.played),
    ):
        _audio_bytes(size)
    if summary.audible > summary.received:
        raise ValueError("more audio is audible than was received")
    if not isinstance(summary.reply_id, str):
        raise TypeError("'reply_id' is not text")


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
    known = ToolPolicy.__dataclass_fields__  # a later version may have more
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
        line["call_id"], LOUD * (_audio_bytes(line["bytes"]) // len(LOUD))
    ),
    "playback_drained": lambda line: PlaybackDrained(),
    "playback_cut": lambda line: PlaybackCut(
        line["reply_id"], line["played_ms"], line["dropped_ms"]
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


# The header, the first line of a recording.


# Increased if readers of this version would misread the new format. Additions (a key, a
# kind of line) do not increase it, because readers ignore unknown ones.
FORMAT_VERSION = 1


class InvalidRecording(VagentError):
    """A folder without a recording, or one that this version cannot read."""


@dataclass(frozen=True, slots=True)
class RecordedAgent:
    """The agent file of a call; agent.yaml in the recording is a copy of its text."""

    name: str
    path: str  # as given on the command line
    sha256: str


@dataclass(frozen=True, slots=True)
class Header:
    """Everything that a replay needs except the entries.

    `started` is ISO 8601 with a time zone. `seed` is of the random jitter of the
    reconnect delays. `config` is of the client session, with secrets redacted.
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
    """Returns the first line as JSON data."""
    return {"type": "vagent.recording", **asdict(header)}


def read_header(line: Any) -> Header:
    """Reads the first line.

    Raises:
        InvalidRecording: it is not a header, or this version cannot read it.
    """
    if not isinstance(line, dict) or line.get("type") != "vagent.recording":
        raise InvalidRecording("not a recording of vagent")
    version = line.get("version")
    if type(version) is not int:
        raise InvalidRecording(
            "the header of the recording is invalid: 'version' is not a whole number"
        )
    if version > FORMAT_VERSION:
        raise InvalidRecording(
            f"the recording has format {version}, and this version of vagent reads "
            f"formats up to {FORMAT_VERSION}",
            hint="install the version of vagent that made it, or a newer one",
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
        check_types(header)
        check_types(header.agent)
    except KeyError as error:
        raise InvalidRecording(
            f"the header of the recording is invalid: {error} is missing"
        ) from None
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidRecording(
            f"the header of the recording is invalid: {error}"
        ) from None
    return header


def read_config(value: JsonObject) -> ClientConfig:
    """Reads the configuration of a client session."""
    known = _known(ClientConfig, value)
    config = ClientConfig(
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
    for each in (config, config.idle, config.patience, *config.tools.values()):
        check_types(each)
    return config


def check_types(value: Any) -> None:
    """Raises TypeError if a field of a dataclass has a value of another type.

    A recording can come from anywhere, and its readers rely on the types.
    """
    for name, (hint, what) in _field_types(value.__class__).items():
        if not _matches(getattr(value, name), hint):
            raise TypeError(f"'{name}' is not {what}")


_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


@cache
def _field_types(kind: Any) -> dict[str, tuple[Any, str]]:
    """Returns the type of each field, with its name in messages."""
    return {
        name: (hint, _WORDS.get(hint, "valid"))
        for name, hint in get_type_hints(kind).items()
    }


def _matches(value: Any, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_matches(value, each) for each in parts)
    if origin is Literal:
        return value in parts
    if origin is Mapping:
        key, item = parts
        return isinstance(value, Mapping) and all(
            _matches(name, key) and _matches(each, item) for name, each in value.items()
        )
    if origin is Sequence:
        return isinstance(value, list | tuple) and all(
            _matches(each, parts[0]) for each in value
        )
    if hint is float:
        return type(value) in (int, float) and abs(value) <= _MAX_NUMBER  # and no NaN
    if hint is int:
        return type(value) is int
    return isinstance(value, hint)


_MAX_NUMBER = sys.float_info.max


def _known(kind: Any, value: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields without those that a later version has added."""
    if not isinstance(value, Mapping):
        raise TypeError(f"'{str(value)[:50]}' is not a mapping")
    return {key: value[key] for key in kind.__dataclass_fields__ if key in value}


# Sums of audio.


MAX_SUMMARY_SECONDS = 0.1


def audio_line(at: float, summary: AudioSummary) -> str:
    """Returns the line of an audio summary as JSON text, as `write_line` does."""
    # Written by hand for speed: nine of ten lines of a recording are audio.
    parts = []
    if summary.mic:
        parts.append(f'"mic":{summary.mic}')
    if summary.sent:
        parts.append(f'"sent":{summary.sent}')
    if summary.received:
        parts.append(f'"received":{summary.received}')
    if summary.audible:
        parts.append(f'"audible":{summary.audible}')
    if summary.played:
        parts.append(f'"played":{summary.played}')
    if summary.reply_id:
        parts.append(f'"reply_id":{json.dumps(summary.reply_id)}')
    inner = ",".join(parts)
    until = round(summary.until, 6)
    return f'{{"at":{round(at, 6)},"until":{until},"sound":{{{inner}}}}}'


class AudioCounter:
    """Sums up audio; complete sums with their start times are added to `finished`."""

    def __init__(self) -> None:
        self.finished: list[tuple[float, AudioSummary]] = []
        self._began = 0.0
        self._summary: AudioSummary | None = None

    def note(self, at: float, what: Event | Action) -> bool:
        """Counts an event or action and returns True if it is audio."""
        # For speed, types are compared, not matched: audio arrives 200 times a second.
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
            summary = self._open_reply(at, message.reply_id)
            summary.received += len(pcm)
            if is_audible(pcm):
                summary.audible += len(pcm)
        else:
            return False
        return True

    def cut(self) -> None:
        """Finishes the current sum, if any."""
        if self._summary is not None:
            self.finished.append((self._began, self._summary))
            self._summary = None

    def _open(self, at: float) -> AudioSummary:
        """Returns the current sum, or a new one."""
        summary = self._summary
        if summary is not None:
            if at - self._began <= MAX_SUMMARY_SECONDS:
                summary.until = at
                return summary
            self.cut()
        self._began = at
        self._summary = summary = AudioSummary(at)
        return summary

    def _open_reply(self, at: float, reply_id: str) -> AudioSummary:
        if self._summary is not None and self._summary.reply_id not in ("", reply_id):
            self.cut()
        summary = self._open(at)
        summary.reply_id = reply_id
        return summary


# Files of JSON lines.


# Flushes between two checks that the file still exists: about a second of a call.
_EXISTS_CHECK_FLUSHES = 20


class LineFile:
    """Gathers lines and writes them at once; raises OSError if that fails.

    Written lines survive a kill of the process, because they are in the cache of the
    operating system; fsync is not needed for that.
    """

    def __init__(self, path: Path) -> None:
        """Creates the file; raises FileExistsError if it exists."""
        # Unbuffered: `close` must not write again what a full disk refused.
        self._file = FileIO(path, "xb", opener=open_private)
        self._pending: list[bytes] = []
        self._flushes = 0
        self.bytes = 0  # appended so far
        self.is_broken = False  # it may end with an incomplete line

    def append(self, value: Mapping[str, Any]) -> None:
        """Adds a line, which is written by the next `flush`."""
        self.append_text(dumps(value))

    def append_text(self, text: str) -> None:
        """Adds a line of JSON text."""
        line = text.encode() + b"\n"
        self.bytes += len(line)
        self._pending.append(line)

    def flush(self) -> None:
        """Writes the added lines."""
        self._flushes += 1
        if self._flushes % _EXISTS_CHECK_FLUSHES == 0:
            self._check_exists()
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
        """Closes the file; harmless if it is closed."""
        self._file.close()

    def _check_exists(self) -> None:
        # On POSIX, writing to a removed file does not fail.
        if os.fstat(self._file.fileno()).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "the folder was removed")
