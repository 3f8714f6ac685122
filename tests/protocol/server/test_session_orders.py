"""The server's core under random orders of events; each invariant is a sentence."""

from __future__ import annotations

import itertools
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from runner.errors import RemoteProtocolError
from runner.protocol.messages import (
    ClientMessage,
    ConversationMessage,
    InputAudio,
    InputSpeechStarted,
    ReplyCancel,
    ReplyCreate,
    ReplyDone,
    SessionEnd,
    SessionEnded,
    SessionError,
    SessionReady,
    SessionResume,
    SessionUpdate,
    SessionUpdated,
    ToolResult,
)
from runner.protocol.server.events import (
    AudioChunk,
    ClauseStarted,
    Close,
    Configure,
    Disconnected,
    Failed,
    Malformed,
    PartialTranscript,
    Received,
    RemoveFromHistory,
    ReplyFailed,
    ReplyFinished,
    Resumed,
    Send,
    ServerAction,
    ServerEvent,
    ShutDown,
    SpeechStarted,
    StartReply,
    StopReply,
    Tick,
    ToolCallRequested,
    TurnCommitted,
)
from runner.protocol.server.session import GRACE_SECONDS, Phase, ServerSession
from runner.protocol.server.turn_taking import Turn
from tests.protocol.server.witness import Witness

TOOL = {"type": "function", "name": "look", "timeout_seconds": 5}
AGO = st.integers(0, 3)  # how many replies or calls ago
UPDATES: list[dict[str, Any]] = [
    {"system_prompt": "x"},
    {"output": {"volume": 40}},
    {"tools": []},
    {"tools": [TOOL]},
    {"input": {"turn_detection": {"interrupt_response": False}}},
    {"input": {"turn_detection": {"interrupt_response": True}}},
    {"input": {"turn_detection": {"uninterruptible_turns": ["greeting"]}}},
    {"input": {"format": {"encoding": "audio/pcmu"}}},
    # refused: a wrong shape, a wrong value, what is fixed, what is elsewhere
    {"nonsense": 1},
    {"greeting": None},
    {"output": {"volume": 400}},
    {"greeting": "Other."},
    {"output": {"voice": "ivy"}},
    {"agent_id": "a"},
]
UNREADABLE = [
    RemoteProtocolError("Invalid JSON format."),
    RemoteProtocolError("Invalid audio data", code="invalid_audio"),
    RemoteProtocolError("tool.result: x", message_type="tool.result"),
]


class ServerOrders(RuleBasedStateMachine):
    """Feeds a session anything at any time, and watches what it does."""

    def __init__(self) -> None:
        super().__init__()
        numbers = itertools.count(1)
        self.now = 100.0
        self.session = ServerSession(lambda kind: f"{kind}_{next(numbers)}", epoch=1e6)
        self.witness = Witness()
        self.wanted = False  # a reply is owed as soon as the floor is free
        self.last_deadline: float | None = None

    @initialize(
        greets=st.booleans(),
        interrupts=st.booleans(),
        protects=st.booleans(),
        opens=st.sampled_from([True, True, True, False]),
    )
    def start(
        self, greets: bool, interrupts: bool, protects: bool, opens: bool
    ) -> None:
        detection = {
            "interrupt_response": interrupts,
            "uninterruptible_turns": ["greeting"] if protects else [],
        }
        self.first = {
            "greeting": "Hello there." if greets else "",
            "tools": [TOOL],
            "input": {"turn_detection": detection},
        }
        if opens:
            self.feed(Received(SessionUpdate(self.first)))
            assert self.session.phase is Phase.LIVE

    # -------------------------------------------------------------------- feeding

    def feed(self, event: ServerEvent) -> list[ServerAction]:
        session, witness = self.session, self.witness
        phase, settings_before = session.phase, session.settings
        is_interruptible, turn = session.is_interruptible, session.turn
        actions = session.feed(event, self.now)
        sent = [action.message for action in actions if isinstance(action, Send)]
        if phase is Phase.LIVE and isinstance(event, Disconnected | Resumed):
            witness.connection_lost()  # also if a new connection resumes
        if isinstance(event, Disconnected):
            assert sent == [], "a line that is gone carries nothing"
        if phase is Phase.DROPPED and session.phase is not Phase.LIVE:
            assert sent == [], "nothing is sent while DROPPED"
        if session.phase is Phase.LIVE and phase is Phase.OPENING:
            is_update = isinstance(event, Received) and isinstance(
                event.message, SessionUpdate
            )
            assert is_update, "only an update opens a session"
        if phase is Phase.OPENING and session.phase is not Phase.LIVE:
            assert {type(message) for message in sent} <= {SessionError, SessionEnded}
        self._account(event, phase, actions)
        witness.watch(phase, actions, 1e6 + self.now)
        if not any(isinstance(action, Configure) for action in actions):
            assert session.settings is settings_before, "only updates change settings"
        if isinstance(event, SpeechStarted) and phase is Phase.LIVE:
            self._check_interruption(actions, is_interruptible, turn)
        if isinstance(event, Resumed) and phase in (Phase.LIVE, Phase.DROPPED):
            assert session.phase is Phase.LIVE, "who has the right to it, gets it"
            assert isinstance(sent[0], SessionReady), "ready is the first on a line"
            assert sent[0].session_id == session.session_id
        return actions

    def _account(
        self, event: ServerEvent, phase: Phase, actions: list[ServerAction]
    ) -> None:
        """Note whether a reply is owed; any reply covers all that was owed before."""
        witness = self.witness
        if phase is Phase.LIVE and isinstance(event, Disconnected | Resumed):
            cut = witness.thinking
            if cut is not None and cut not in witness.begun:
                # It was not heard: it is generated again, unless it waits for calls.
                self.wanted |= cut not in witness.calls.values()
        match event:
            case Received(ReplyCreate()) if phase is Phase.LIVE:
                self.wanted = True
            case Received(ToolResult(call_id=call_id)) if phase is Phase.LIVE:
                reply_id = witness.calls.get(call_id)
                asked = list(witness.calls.values()).count(reply_id or "")
                self.wanted |= reply_id is not None and asked == 1
        if any(isinstance(action, StartReply) for action in actions):
            self.wanted = False

    def _check_interruption(
        self, actions: list[ServerAction], is_interruptible: bool, turn: Turn
    ) -> None:
        if turn is Turn.USER or not is_interruptible:
            assert actions == [], "speech that may not interrupt changes nothing"
            return
        assert self.session.turn is Turn.USER, "who speaks has the floor"
        kinds = [type(a.message) if isinstance(a, Send) else type(a) for a in actions]
        if turn is Turn.AGENT:
            assert kinds[:2] == [StopReply, InputSpeechStarted], (
                "an interruption is instant"
            )
            assert ReplyDone in kinds, "and the reply is over"

    def reply(self, ago: int) -> str:
        replies = self.witness.replies
        return replies[-1 - ago] if ago < len(replies) else "resp_never"

    def call(self, ago: int) -> str:
        calls = [*self.witness.settled, *self.witness.calls]
        return sorted(calls)[-1 - ago] if ago < len(calls) else "call_never"

    # ---------------------------------------------------------------------- rules

    @rule(text=st.sampled_from(["", " ", "Hello?"]))
    def caller_finishes(self, text: str) -> None:
        self.feed(TurnCommitted(text))

    @rule(event=st.sampled_from([SpeechStarted(), PartialTranscript("He")]))
    def caller_speaks(self, event: ServerEvent) -> None:
        self.feed(event)

    @rule(ago=AGO, kind=st.integers(0, 5))
    def mind_or_voice_reports(self, ago: int, kind: int) -> None:
        reply_id = self.reply(ago)
        events: list[ServerEvent] = [
            ClauseStarted(reply_id, "Some words.", 100),
            ClauseStarted(reply_id, "", 0),
            AudioChunk(reply_id, bytes(480)),
            ToolCallRequested(reply_id, "look"),
            ReplyFinished(reply_id),
            ReplyFailed(reply_id, "internal_error", "no"),
        ]
        self.feed(events[kind])

    @precondition(lambda self: self.witness.thinking)
    @rule(count=st.integers(1, 3))
    def agent_asks(self, count: int) -> None:
        for _ in range(count):
            self.feed(ToolCallRequested(self.witness.thinking or "", "look"))

    @rule(ago=AGO, is_error=st.booleans())
    def client_answers(self, ago: int, is_error: bool) -> None:
        self.feed(Received(ToolResult(self.call(ago), "1", is_error)))

    @rule(ago=AGO)
    def client_cancels(self, ago: int) -> None:
        reply_id = self.reply(ago)
        calls = [c for c, r in self.witness.calls.items() if r == reply_id]
        is_spoken = self.witness.thinking == reply_id
        actions = self.feed(Received(ReplyCancel(reply_id)))
        if is_spoken and self.session.phase is Phase.LIVE:
            assert StopReply(reply_id) in actions
            forgotten = [a.call_id for a in actions if isinstance(a, RemoveFromHistory)]
            assert forgotten == calls, "a cut reply takes its calls with it"

    @rule(
        message=st.sampled_from(
            [
                ReplyCreate(),
                ReplyCreate("Say hello."),
                ConversationMessage("user", "x"),
                ConversationMessage("king", "x"),
                InputAudio(b"\0\0"),
                InputAudio(b""),
                SessionResume("sess_1"),
            ]
        )
    )
    def client_sends(self, message: ClientMessage) -> None:
        self.feed(Received(message))

    @rule()
    def client_floods(self) -> None:
        # Made here: hypothesis keeps the text of everything that it draws.
        self.feed(Received(InputAudio(bytes(600_000))))

    @rule(update=st.sampled_from(UPDATES))
    def client_updates(self, update: dict[str, Any]) -> None:
        phase = self.session.phase
        actions = self.feed(Received(SessionUpdate(update)))
        if phase is Phase.LIVE:
            [answer] = [a.message for a in actions if isinstance(a, Send)]
            assert isinstance(answer, SessionUpdated | SessionError), "one answer each"

    @precondition(lambda self: self.session.phase is Phase.OPENING)
    @rule()
    def client_opens(self) -> None:
        self.feed(Received(SessionUpdate(self.first)))

    @rule(error=st.sampled_from(UNREADABLE))
    def client_sends_garbage(self, error: RemoteProtocolError) -> None:
        phase = self.session.phase
        actions = self.feed(Malformed(error))
        assert self.session.phase is phase, "garbage ends nothing"
        assert len(actions) == (phase in (Phase.OPENING, Phase.LIVE)), "one answer each"

    @rule(event=st.sampled_from([Disconnected(), Resumed(), Resumed(), Failed("x")]))
    def line_changes(self, event: ServerEvent) -> None:
        self.feed(event)

    @rule(seconds=st.sampled_from([0.1, 4.9, 6.0, 29.0, 31.0, 11_000.0]))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(50):
            due = self.session.deadline
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self.feed(Tick())
            after = self.session.deadline
            assert after is None or after > self.now, (
                "a deadline that has passed is cleared or moved"
            )
        else:
            raise AssertionError("time stands still: a deadline fires for ever")
        self.now = until

    @rule()
    def time_is_checked_too_early(self) -> None:
        assert self.feed(Tick()) == [], "before the deadline nothing is due"

    @precondition(lambda self: len(self.witness.replies) > 2)
    @rule(is_ours=st.booleans())
    def session_ends(self, is_ours: bool) -> None:
        phase = self.session.phase
        self.feed(ShutDown() if is_ours else Received(SessionEnd()))
        if phase is Phase.LIVE or is_ours:
            assert self.session.phase is Phase.CLOSED

    # ----------------------------------------------------------------- invariants

    @invariant()
    def the_turn_says_who_speaks(self) -> None:
        session, witness = self.session, self.witness
        if session.phase is Phase.CLOSED:
            assert witness.is_over
            assert witness.thinking is None, "nothing is made for a closed session"
            return
        assert (session.turn is Turn.AGENT) == (witness.thinking is not None)
        assert (session.turn is Turn.USER) == (witness.speech is not None)
        assert witness.thinking == witness.open_reply, "what is made is told of"

    @invariant()
    def a_free_floor_leaves_no_wanted_reply_behind(self) -> None:
        if self.session.phase is Phase.LIVE and self.session.turn is Turn.IDLE:
            assert not self.wanted

    @invariant()
    def a_greeting_is_spoken_once_and_never_again_after_a_resume(self) -> None:
        assert self.witness.greetings <= bool(self.session.settings.greeting)

    @invariant()
    def a_living_session_has_a_deadline_and_a_dead_one_has_none(self) -> None:
        deadline = self.session.deadline
        if self.session.phase in (Phase.OPENING, Phase.CLOSED):
            assert deadline is None
            return
        assert deadline is not None
        if self.session.phase is Phase.DROPPED:
            assert deadline <= self.now + GRACE_SECONDS, "a dropped one is not kept"
        elif self.witness.calls:
            assert deadline <= self.now + 120, "no call is waited for without end"

    def teardown(self) -> None:
        """Bring it to rest: everything that was asked is answered, and it can end."""
        phase = self.session.phase
        if phase in (Phase.OPENING, Phase.CLOSED):
            return
        if phase is Phase.DROPPED:
            self.feed(Resumed())
        self.feed(TurnCommitted(""))
        while self.witness.thinking or self.witness.calls:
            if self.witness.thinking:
                self.feed(ReplyFinished(self.witness.thinking))
            else:
                self.feed(Received(ToolResult(next(iter(self.witness.calls)), "1")))
        assert self.session.turn is Turn.IDLE
        actions = self.feed(ShutDown())
        assert [type(a) for a in actions] == [Send, Close], "it ends cleanly, once"
        for event in (Resumed(), Received(SessionUpdate(self.first)), Tick()):
            assert self.feed(event) == [], "a forgotten session never comes back"


TestServerOrders = ServerOrders.TestCase
TestServerOrders.settings = settings(
    # `make orders` runs many more.
    max_examples=int(os.environ.get("VAGENT_ORDERS", "75")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
