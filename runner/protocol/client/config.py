"""What one session is asked to be: its configuration, its habits and its patience."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import JsonObject

READY_SECONDS = 10.0
REPLY_SECONDS = 10.0
SOUND_SECONDS = 10.0

# How announcements are said. `reply`: by reply.create. `voice`: by the local voice.
# `either`: by reply.create while the floor is free, by the local voice into a silent
# reply; and by the local voice only once the service has refused reply.create.
AnnounceBy: TypeAlias = Literal["reply", "voice", "either"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the far end may take, in seconds, before something is done about it.

    `ready` is for session.ready after the configuration, `reply` for a reply to words
    or results that were sent, `sound` for the next sound of a reply that has started.
    """

    ready: float = READY_SECONDS
    reply: float = REPLY_SECONDS
    sound: float = SOUND_SECONDS


@dataclass(frozen=True, slots=True)
class IdlePolicy:
    """What is done about a caller who says nothing; seconds of quiet on both sides.

    After `nudge_after` the agent says `say` (None: it asks in its own words), after
    `end_after` it hangs up; both count from the same moment.
    """

    nudge_after: float | None = None
    say: str | None = None
    end_after: float | None = None


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """What a client session is made of.

    `session` is the session object of session.update. With `carry_over`, a fresh
    session that replaces a lost one is told the conversation so far. `one_minute_left`
    is said a minute before `max_duration` seconds are over. `announce_by` says how the
    announcements of tools are said: see `announcements`.
    """

    session: JsonObject = field(default_factory=dict)
    tools: Mapping[str, ToolPolicy] = field(default_factory=dict)
    immediate_results: bool = False
    max_duration: float | None = None
    one_minute_left: str | None = None
    idle: IdlePolicy = IdlePolicy()
    carry_over: bool = False
    announce_by: AnnounceBy = "reply"
    patience: Timeouts = Timeouts()
