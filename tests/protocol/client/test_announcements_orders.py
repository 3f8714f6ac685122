"""Announcements under random orders of events; each invariant is a sentence."""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from runner.protocol.client.actions import Action, Announce, CancelTool, Play, Send
from runner.protocol.client.announcements import ANNOUNCE_SECONDS
from runner.protocol.client.config import AnnounceBy, ClientConfig
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    Event,
    HangUp,
    Received,
    Say,
    SpeechSynthesized,
    Tick,
    ToolFinished,
)
from runner.protocol.client.session import ClientSession
from runner.protocol.client.state import Phase
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.client.turn_taking import Floor
from runner.protocol.messages import (
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyCreate,
    ReplyDone,
    ReplyError,
    ReplyStarted,
    ServerMessage,
    SessionError,
    SessionReady,
    ToolCall,
    parse_verbatim,
)

LOUD, SILENCE = b"\0\x40" * 4800, bytes(9600)  # 0.2 s
CALLS = ["c1", "c2", "c3", "c4"]
# One tool for each call, so that the text of an announcement identifies the call.
RULES = {
    **{f"tool {call_id}": ToolPolicy(announce=f"words {call_id}") for call_id in CALLS},
    "tool c4": ToolPolicy(terminal=True, announce="words c4"),
}


def reply_audio(reply_id: str, *, loud: bool) -> ReplyAudio:
    return ReplyAudio(LOUD if loud else SILENCE, reply_id)


REPLIES = st.sampled_from(["r1", "r2", "r3"])
MESSAGES: st.SearchStrategy[ServerMessage] = st.one_of(
    st.builds(ReplyStarted, REPLIES),
    st.builds(ReplyStarted, REPLIES),
    st.builds(
        lambda loud, reply: reply_audio(reply, loud=loud), st.booleans(), REPLIES
    ),
    st.builds(ReplyDone, REPLIES, st.sampled_from(["completed", "interrupted"])),
    st.builds(ReplyDone, REPLIES),
    st.sampled_from([InputSpeechStarted(), InputSpeechStopped()]),
    st.builds(ReplyError, REPLIES, retryable=st.booleans()),
    st.builds(SessionError, st.sampled_from(["invalid_format", "at_capacity", "new"])),
)


class AnnouncementOrders(RuleBasedStateMachine):
    """Feeds a session whose tools are announced, and watches what is announced when."""

    @initialize(
        by=st.sampled_from(["reply", "voice", "either"]), immediate=st.booleans()
    )
    def start(self, by: AnnounceBy, immediate: bool) -> None:
        self.now = 0.0
        config = ClientConfig(
            tools=RULES, announce_by=by, immediate_results=immediate, carry_over=True
        )
        self.session = ClientSession(config)
        self.session.start(0.0)
        self.began: dict[str, float] = {}  # the calls that run
        self.over: set[str] = set()
        self.asked: Counter[str] = Counter()  # of the service
        self.played: Counter[str] = Counter()  # by the local voice
        self.last_speech = 0.0
        self.audible_until = 0.0
        self.feed(Connected())
        self.feed(Received(SessionReady("s1", resume_token="t")))

    def feed(self, event: Event) -> None:
        match event:
            case ToolFinished(call_id) if call_id in self.began:
                self.over.add(call_id)
            case Received(InputSpeechStarted()) | Say() | Disconnected():
                self.last_speech, self.audible_until = self.now, 0.0
        pending = self.audible_until
        actions = self.session.feed(event, self.now)
        for number, action in enumerate(actions):
            self.watch(event, action, pending, actions[:number])

    def watch(
        self, event: Event, action: Action, pending: float, before: list[Action]
    ) -> None:
        match action:
            case Send(ReplyCreate(instructions=str(text))) if parse_verbatim(text):
                words = parse_verbatim(text) or ""
                self.asked[words] += 1
                assert self.session.turn_manager.turn is Floor.IDLE, (
                    "asked on a free floor"
                )
                self.check(words, pending)
            case Announce(words):
                self.played[words] += 1
                assert self.session.turn_manager.turn is not Floor.USER
                self.check(words, pending)
            case Play(pcm):
                is_ours = any(isinstance(each, Announce) for each in before)
                assert is_ours or isinstance(event, Received), "no audio by itself"
                self.audible_until = max(self.audible_until, self.now)
                if pcm == LOUD:
                    self.last_speech = self.now
                    self.audible_until += 0.2
            case CancelTool(call_id):
                self.over.add(call_id)

    def check(self, words: str, pending: float) -> None:
        call_id = words.removeprefix("words ")
        assert self.session.phase is Phase.LIVE, "nobody is there to be told"
        assert call_id not in self.over, "never after the result"
        assert pending <= self.now, "never over the agent"
        began = self.began[call_id]
        assert self.now - began >= ANNOUNCE_SECONDS - 1e-6, "never before its time"
        assert self.last_speech <= began, "never when somebody has spoken"

    @rule(call_id=st.sampled_from(CALLS))
    def call(self, call_id: str) -> None:
        if self.session.phase is Phase.LIVE:
            self.began.setdefault(call_id, self.now)
        self.feed(Received(ToolCall(call_id, f"tool {call_id}")))

    @rule(message=MESSAGES)
    def receive(self, message: ServerMessage) -> None:
        self.feed(Received(message))

    @rule(call_id=st.sampled_from(CALLS))
    def tool_ends(self, call_id: str) -> None:
        self.feed(ToolFinished(call_id, "1"))

    @rule(call_id=st.sampled_from(CALLS), works=st.booleans())
    def local_voice_is_ready(self, call_id: str, works: bool) -> None:
        self.feed(SpeechSynthesized(call_id, LOUD if works else b""))

    @rule()
    def caller_types(self) -> None:
        self.feed(Say("Hello?"))

    @rule(session_id=st.sampled_from(["s1", "s2"]))
    def line_drops(self, session_id: str) -> None:
        self.feed(Disconnected("lost"))
        self.time_passes(3.0)
        self.feed(Connected())
        self.feed(Received(SessionReady(session_id, resume_token="t")))

    @rule(after_playback=st.booleans())
    def hang_up(self, after_playback: bool) -> None:
        if self.now > 60.0:
            self.feed(HangUp("enough", after_playback))

    @rule(seconds=st.sampled_from([0.05, 0.3, 0.59, 0.6, 0.61, 1.0, 4.0]))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(50):
            due = self.session.deadline
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self.feed(Tick())
        else:
            raise AssertionError("time stands still: a deadline fires for ever")
        self.now = until

    @invariant()
    def no_call_is_announced_twice(self) -> None:
        assert all(count <= 1 for count in self.asked.values())
        assert all(count <= 1 for count in self.played.values())


TestAnnouncementOrders = AnnouncementOrders.TestCase
TestAnnouncementOrders.settings = settings(
    max_examples=int(os.environ.get("VAGENT_ORDERS", "100")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
