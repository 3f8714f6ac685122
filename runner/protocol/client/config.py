"""Configuration of a client session: session object, tool policies, timeouts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import JsonObject

READY_SECONDS = 10.0
REPLY_SECONDS = 10.0
AUDIO_SECONDS = 10.0

# The ways to speak announcements. `reply`: by reply.create. `voice`: by local TTS.
# `either`: by reply.create while the floor is free, by local TTS during a silent reply,
# and only by local TTS once the service has refused reply.create.
AnnounceBy: TypeAlias = Literal["reply", "voice", "either"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts of the service, in seconds.

    `ready` is for session.ready after the configuration, `reply` for a reply to text or
    results that were sent, `sound` for the next audio of a reply that has started.
    """

    ready: float = READY_SECONDS
    reply: float = REPLY_SECONDS
    sound: float = AUDIO_SECONDS


@dataclass(frozen=True, slots=True)
class IdlePolicy:
    """Reactions to a silent caller, after seconds of silence on both sides.

    After `nudge_after` the agent says `say` (None: the model chooses the question),
    after `end_after` it hangs up; both count from the same moment.
    """

    nudge_after: float | None = None
    say: str | None = None
    end_after: float | None = None


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Configuration of a client session.

    `session` is the session object of session.update. With `carry_over`, a fresh
    session that replaces a lost one receives the conversation so far. `one_minute_left`
    is said a minute before `max_duration` seconds are over. `announce_by` is described
    in `announcements`.
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
