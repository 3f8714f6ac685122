"""Strategies for the entries of a recording."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import strategies as st

from runner.protocol.client.actions import (
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
from runner.protocol.codec import CLIENT_MESSAGES, SERVER_MESSAGES
from runner.protocol.messages import InputAudio, ReplyAudio, ToolCall
from runner.recording.format import LOUD, MAX_AUDIO_BYTES, AudioSummary, Entry

# JSON, and so messages of services, can contain half a surrogate pair.
TEXT = st.text(st.characters(), max_size=20)
NUMBER = st.floats(allow_nan=False, allow_infinity=False, width=32)
WHOLE = st.integers(-(10**6), 10**6)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | NUMBER | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
    ),
    max_leaves=5,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
_BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    "str": TEXT,
    "str | None": st.none() | TEXT,
    "bool": st.booleans(),
    "int | None": st.none() | WHOLE,
    "float | None": st.none() | NUMBER,
    "JsonObject": OBJECT,
}


def build(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Draws an instance; a resume token is replaced by `***`."""
    fields = {field.name: _BY_TYPE[field.type] for field in dataclasses.fields(kind)}
    if "resume_token" in fields:
        fields["resume_token"] = st.sampled_from(["", "***"])
    if "unreadable" in fields:  # JSON text, in the place of arguments
        usual = st.builds(kind, **{**fields, "unreadable": st.none()})
        fields["arguments"] = st.just({})
        return usual | st.builds(kind, **{**fields, "unreadable": st.just("[1]")})
    return st.builds(kind, **fields)


CLIENT = st.one_of(
    [build(kind) for kind in CLIENT_MESSAGES.values() if kind is not InputAudio]
)
SERVER = st.one_of(
    [build(kind) for kind in SERVER_MESSAGES.values() if kind is not ReplyAudio]
)
RULES = st.builds(
    ToolPolicy,
    st.booleans(),
    st.sampled_from(["cancel", "finish"]),
    st.none() | TEXT,
)
COUNT = st.integers(0, MAX_AUDIO_BYTES // 2)
SOUND = st.builds(
    lambda until, mic, sent, silent, audible, played, reply_id: AudioSummary(
        until, mic, sent, silent + audible, audible, played, reply_id
    ),
    st.floats(0, 10_000).map(lambda at: round(at, 6)),
    *[COUNT] * 5,
    TEXT,
)
ENTRIES: dict[type, st.SearchStrategy[Any]] = {
    Connected: st.builds(Connected),
    Received: st.builds(Received, SERVER),
    MalformedMessage: st.builds(MalformedMessage, TEXT),
    Disconnected: st.builds(
        Disconnected,
        TEXT,
        st.none() | WHOLE,
        st.none() | WHOLE,
        st.lists(CLIENT, max_size=2),
    ),
    ToolFinished: st.builds(ToolFinished, TEXT, TEXT, st.booleans()),
    SpeechSynthesized: st.builds(
        SpeechSynthesized, TEXT, st.integers(0, 99).map(lambda n: LOUD * n)
    ),
    PlaybackDrained: st.builds(PlaybackDrained),
    PlaybackCut: st.builds(PlaybackCut, TEXT, NUMBER, NUMBER),
    Say: st.builds(Say, TEXT),
    Reconfigure: st.builds(
        Reconfigure, OBJECT, st.dictionaries(TEXT, RULES, max_size=2)
    ),
    HangUp: st.builds(HangUp, TEXT, st.booleans()),
    Tick: st.builds(Tick),
    Connect: st.builds(Connect, st.sampled_from([None, "***"])),
    Send: st.builds(Send, CLIENT),
    StopPlayback: st.builds(StopPlayback),
    Drain: st.builds(Drain),
    RunTool: st.builds(RunTool, build(ToolCall)),
    CancelTool: st.builds(CancelTool, TEXT),
    Synthesize: st.builds(Synthesize, TEXT, TEXT),
    Announce: st.builds(Announce, TEXT),
    ConfigApplied: st.builds(ConfigApplied),
    Notify: st.builds(Notify, TEXT),
    Close: st.builds(
        Close, st.sampled_from(Outcome), TEXT, st.none() | TEXT, st.booleans()
    ),
    AudioSummary: SOUND,
}
ENTRY: st.SearchStrategy[Entry] = st.one_of(list(ENTRIES.values()))
