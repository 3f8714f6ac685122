"""The client's core under random orders of events; each invariant is a sentence."""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from runner.protocol.client.actions import (
    Action,
    CancelTool,
    Close,
    Connect,
    Play,
    RunTool,
    Send,
    StopPlayback,
)
from runner.protocol.client.config import ClientConfig, IdlePolicy
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    Event,
    HangUp,
    MalformedMessage,
    MicFrame,
    PlaybackDrained,
    Received,
    Reconfigure,
    Say,
    Tick,
    ToolFinished,
)
from runner.protocol.client.session import ClientSession
from runner.protocol.client.state import ERRORS, Phase
from runner.protocol.client.timers import CONVERSATIONAL, Timer
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.client.turn_taking import Floor
from runner.protocol.messages import (
    InputAudio,
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyCreate,
    ReplyDone,
    ReplyError,
    ReplyStarted,
    ServerMessage,
    SessionEnded,
    SessionError,
    SessionReady,
    SessionUpdate,
    SessionUpdated,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptUser,
    Unknown,
)

REPLIES = st.sampled_from(["", "r1", "r2", "r3"])
CALLS = st.sampled_from(["c1", "c2", "c3", "c4"])
TOOL_OF = {"c1": "look", "c2": "look", "c3": "book", "c4": "end_call"}
CODES = st.sampled_from([*ERRORS, "UNAUTHORIZED", "never_heard_of"])
CONVERSATION: st.SearchStrategy[ServerMessage] = st.one_of(
    st.builds(ReplyStarted, REPLIES),
    st.builds(ReplyAudio, st.just(b"\1\0"), REPLIES),
    st.builds(ReplyDone, REPLIES, st.sampled_from(["completed", "interrupted"])),
    st.just(InputSpeechStarted()),
    st.just(InputSpeechStopped()),
    st.just(TranscriptUser("hello")),
    st.builds(TranscriptAgent, st.sampled_from(["", "hello"]), REPLIES),
    st.builds(ReplyError, REPLIES, retryable=st.booleans()),
    st.builds(lambda call_id: ToolCall(call_id, TOOL_OF[call_id]), CALLS),
    st.builds(Unknown, st.just("x.y")),
    st.just(SessionUpdated()),
)
TALKING = (Phase.LIVE, Phase.DRAINING)


class ClientOrders(RuleBasedStateMachine):
    """Feeds a session anything at any time, and watches what it does."""

    @initialize(
        immediate=st.booleans(),
        limit=st.sampled_from([None, 20.0, 90.0]),
        idle=st.sampled_from(
            [IdlePolicy(), IdlePolicy(5.0, "Hm?", 12.0), IdlePolicy(end_after=9.0)]
        ),
        carry_over=st.booleans(),
    )
    def start(
        self, immediate: bool, limit: float | None, idle: IdlePolicy, carry_over: bool
    ) -> None:
        self.now = 0.0
        self.config = ClientConfig(
            session={"greeting": "Hi."},
            tools={
                "look": ToolPolicy(),
                "book": ToolPolicy(on_interrupt="finish"),
                "end_call": ToolPolicy(terminal=True),
            },
            immediate_results=immediate,
            max_duration=limit,
            one_minute_left="Soon.",
            idle=idle,
            carry_over=carry_over,
        )
        self.session = ClientSession(self.config)
        self.answers: Counter[str] = Counter()
        self.running: set[str] = set()
        self.runs: Counter[str] = Counter()
        self.forgotten: set[str] = set()
        self.closes = 0
        self.was_heard = False  # the agent, ever
        self.asked = 0  # replies asked for again since something was heard
        self.watch(None, self.session.start(self.now))

    def feed(self, event: Event) -> None:
        phase, turn = self.session.phase, self.session.turn_manager.turn
        reply = self.session.turn_manager.reply
        reply_id = None if reply is None else reply.reply_id
        if isinstance(event, Received) and phase in TALKING:
            self.asked *= not isinstance(event.message, ReplyAudio | InputSpeechStarted)
        if isinstance(event, Say | Disconnected | Connected | ToolFinished):
            self.asked = 0
        actions = self.session.feed(event, self.now)
        if phase is Phase.CLOSED:
            assert actions == [], "nothing happens after CLOSED"
        for action in actions:
            match action:
                case Play(_):
                    assert turn is Floor.AGENT, (
                        "sound is played in the agent's turn only"
                    )
                    assert phase in TALKING, "no sound before the session is ready"
                    assert isinstance(event, Received)
                    assert isinstance(event.message, ReplyAudio)
                    assert event.message.reply_id in ("", reply_id) or reply_id == "", (
                        "no sound of a dead reply"
                    )
                case Send(InputAudio()):
                    assert phase in TALKING, "nothing is heard of us before ready"
        self.was_heard |= any(isinstance(action, Play) for action in actions)
        self.watch(event, actions)
        if (
            isinstance(event, Received)
            and isinstance(event.message, InputSpeechStarted)
            and phase in TALKING
        ):
            assert StopPlayback() in actions, "an interruption is instant"
            assert self.session.turn_manager.turn is not Floor.AGENT

    def watch(self, event: Event | None, actions: list[Action]) -> None:
        for action in actions:
            self.watch_lifecycle(action, actions)
            match action:
                case RunTool(call):
                    self.runs[call.call_id] += 1
                    self.running.add(call.call_id)
                case CancelTool(call_id):
                    assert call_id in self.running, "only what runs is cancelled"
                    self.running.discard(call_id)
                    self.forgotten.add(call_id)
                case Send(ToolResult(call_id=call_id)):
                    self.answers[call_id] += 1
                    assert call_id not in self.forgotten, "a forgotten call is silent"
                    assert self.session.phase in TALKING, "answers need a live line"
                    if not self.config.immediate_results:
                        assert self.session.turn_manager.turn is Floor.IDLE, (
                            "results wait for the floor"
                        )

    def watch_lifecycle(self, action: Action, actions: list[Action]) -> None:
        match action:
            case Send(SessionUpdate(session)):
                assert self.session.phase not in (Phase.WAITING, Phase.RESUMING)
                if self.was_heard:
                    assert "greeting" not in session, "no second greeting"
            case Send(ReplyCreate(instructions=None)):
                self.asked += 1
                assert self.asked <= 10, "nobody is begged for an answer"
            case Connect():
                assert self.session.phase in (Phase.CONNECTING, Phase.RESUMING), (
                    "at most one session is alive: a connection replaces another"
                )
            case Close():
                self.closes += 1
                assert action is actions[-1], "closing is the last thing"

    @rule(message=CONVERSATION)
    def receive(self, message: ServerMessage) -> None:
        self.feed(Received(message))

    @rule()
    def connect(self) -> None:
        self.feed(Connected())

    @rule(session_id=st.sampled_from(["s1", "s2"]), token=st.sampled_from(["", "t"]))
    def ready(self, session_id: str, token: str) -> None:
        self.feed(Received(SessionReady(session_id, resume_token=token)))

    @precondition(lambda self: self.session.phase is Phase.CONNECTING)
    @rule()
    def come_to_life(self) -> None:
        self.feed(Connected())
        self.feed(Received(SessionReady("s1", resume_token="t")))

    @rule(code=CODES)
    def error(self, code: str) -> None:
        self.feed(Received(SessionError(code, "why")))

    @rule(code=st.sampled_from([None, 1000, 1001, 1006, 1008, 1009, 1011, 4000]))
    def disconnect(self, code: int | None) -> None:
        self.feed(Disconnected("lost", code))

    @rule()
    def disconnect_with_all_results_unsent(self) -> None:
        if self.session.phase is not Phase.LIVE:
            return
        unsent = [ToolResult(call_id, "1") for call_id in self.answers]
        self.answers.clear()
        self.feed(Disconnected("lost", unsent=unsent))

    @rule(status=st.sampled_from([401, 403, 404, 502, 503]))
    def refuse(self, status: int) -> None:
        self.feed(Disconnected("refused", status=status))

    @rule(after_playback=st.booleans())
    def hang_up(self, after_playback: bool) -> None:
        self.feed(HangUp("enough", after_playback))

    @rule()
    def service_ends(self) -> None:
        self.feed(Received(SessionEnded(1.0)))

    @rule(
        event=st.sampled_from(
            [PlaybackDrained(), MicFrame(b"\0\0"), MalformedMessage("x")]
        )
    )
    def device(self, event: Event) -> None:
        self.feed(event)

    @rule(
        event=st.sampled_from(
            [
                Say("hello"),
                Reconfigure({"system_prompt": "x"}),
                Reconfigure({"greeting": "Ho."}, {"look": ToolPolicy(terminal=True)}),
            ]
        )
    )
    def person(self, event: Event) -> None:
        self.feed(event)

    @rule(call_id=CALLS, is_error=st.booleans())
    def tool_ends(self, call_id: str, is_error: bool) -> None:
        self.running.discard(call_id)
        self.feed(ToolFinished(call_id, "1", is_error))

    @rule(seconds=st.one_of(st.floats(0.0, 12.0), st.just(45.0)))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(50):
            due = self.session.deadline
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self.feed(Tick())
            after = self.session.deadline
            assert after is None or after > due or after >= self.now, (
                "a deadline that has passed is cleared or moved"
            )
        else:
            raise AssertionError("time stands still: a deadline fires for ever")
        self.now = until

    @invariant()
    def no_call_is_answered_twice(self) -> None:
        assert all(count <= 1 for count in self.answers.values())

    @invariant()
    def no_call_runs_twice(self) -> None:
        assert all(count <= 1 for count in self.runs.values())

    @invariant()
    def it_closes_once(self) -> None:
        assert self.closes == (1 if self.session.phase is Phase.CLOSED else 0)

    @invariant()
    def no_deadline_is_left_behind(self) -> None:
        deadline = self.session.deadline
        if self.session.phase is Phase.CLOSED:
            assert deadline is None
        if self.session.phase not in (Phase.LIVE, Phase.CLOSED):
            assert deadline is not None, "every other phase waits for something"

    @precondition(lambda self: self.session.phase is Phase.LIVE)
    @invariant()
    def nothing_is_waited_for_without_end(self) -> None:
        timers, turn_manager = self.session.timers, self.session.turn_manager
        assert timers.is_set(Timer.REPLY_AUDIO) == (turn_manager.turn is Floor.AGENT)
        assert timers.is_set(Timer.FLOOR) == turn_manager.pending_reply.is_open

    @invariant()
    def outside_the_conversation_nothing_of_it_is_timed(self) -> None:
        if self.session.phase not in TALKING:
            timed = [t for t in CONVERSATIONAL if self.session.timers.is_set(t)]
            assert timed == []

    @invariant()
    def a_free_floor_leaves_no_result_behind(self) -> None:
        if self.session.phase is Phase.LIVE:
            turn_manager = self.session.turn_manager
            if turn_manager.turn is Floor.IDLE:
                held = turn_manager.calls.held
                assert not held or turn_manager.hang_up_state.name == "SAID"


TestClientOrders = ClientOrders.TestCase
TestClientOrders.settings = settings(
    # `make orders` runs many more.
    max_examples=int(os.environ.get("VAGENT_ORDERS", "150")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_every_connection_is_asked_for_before_it_is_used() -> None:
    session = ClientSession(ClientConfig())

    assert session.start(0.0) == [Connect()]
