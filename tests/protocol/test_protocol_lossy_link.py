"""Client and server sessions over connections that drop, repeat and reorder."""

from __future__ import annotations

import os
from collections import deque
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

from runner.protocol.client.events import HangUp, Say, ToolFinished
from runner.protocol.client.state import Phase
from runner.protocol.server.events import (
    AudioChunk,
    ClauseStarted,
    ReplyFailed,
    ReplyFinished,
    ShutDown,
    SpeechStarted,
    ToolCallRequested,
    TurnCommitted,
)
from runner.protocol.server.session import GRACE_SECONDS
from runner.protocol.server.session import Phase as ServerPhase
from runner.protocol.server.turn_taking import Turn
from tests.protocol.network import Backend, Network

MACHINE = settings(
    # `make orders` runs many more.
    max_examples=int(os.environ.get("VAGENT_ORDERS", "75")),
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


class TalkOverNetwork(RuleBasedStateMachine):
    """Speech, replies, tools and deliveries in any order, without drops."""

    @initialize()
    def start(self) -> None:
        self.network = Network()
        self.network.settle()
        assert self.network.client.phase is Phase.LIVE

    @property
    def backend(self) -> Backend | None:
        """The session that is in use."""
        for backend in reversed(self.network.backends.values()):
            if backend.session.phase is ServerPhase.LIVE:
                return backend
        return None

    @property
    def has_reply(self) -> bool:
        return self.backend is not None and bool(self.backend.replies)

    @rule(count=st.integers(1, 5))
    def deliver_up(self, count: int) -> None:
        for _ in range(count):
            self.network.deliver_up()

    @rule(count=st.integers(1, 10))
    def deliver_down(self, count: int) -> None:
        for _ in range(count):
            self.network.deliver_down()

    @precondition(lambda self: self.backend)
    @rule(text=st.sampled_from([None, "Where is it?", ""]))
    def caller_speaks(self, text: str | None) -> None:
        assert self.backend is not None
        self.backend.feed(SpeechStarted() if text is None else TurnCommitted(text))

    @precondition(lambda self: self.backend)
    @rule(tool=st.sampled_from(["look", "book"]), is_over=st.booleans())
    def caller_asks_for_a_tool(self, tool: str, is_over: bool) -> None:
        assert self.backend is not None
        self.backend.feed(SpeechStarted())
        self.backend.feed(TurnCommitted("Where is it?"))
        self.backend.feed(ToolCallRequested(self.backend.replies[0], tool))
        if is_over:
            self.backend.feed(ReplyFinished(self.backend.replies.pop(0)))

    @precondition(lambda self: self.has_reply)
    @rule(kind=st.integers(0, 5), tool=st.sampled_from(["look", "book"]))
    def agent_goes_on(self, kind: int, tool: str) -> None:
        assert self.backend is not None
        reply_id = self.backend.replies[0]
        match kind:
            case 0 | 1:
                self.backend.feed(ToolCallRequested(reply_id, tool))
            case 2:
                self.backend.feed(ReplyFinished(self.backend.replies.pop(0)))
            case 3:
                failed = ReplyFailed(self.backend.replies.pop(0), "x", "no")
                self.backend.feed(failed)
            case _:
                self.backend.feed(ClauseStarted(reply_id, "It is here.", 20.0))
                self.backend.feed(AudioChunk(reply_id, bytes(960)))

    @precondition(lambda self: self.network.running)
    @rule(is_error=st.booleans())
    def tool_ends(self, is_error: bool) -> None:
        call = self.network.running.pop(0)
        self.network.feed_client(ToolFinished(call.call_id, "1", is_error))

    @precondition(lambda self: self.network.running)
    @rule()
    def tool_ends_as_all_is_quiet(self) -> None:
        while self.network.wire is not None and self.network.wire.down:
            self.network.deliver_down()
        for call in self.network.running[:1]:
            self.network.running.remove(call)
            self.network.feed_client(ToolFinished(call.call_id, "1"))

    @rule()
    def person_writes(self) -> None:
        self.network.feed_client(Say("And now?"))

    @rule()
    def everything_arrives(self) -> None:
        self.network.settle()

    @invariant()
    def no_call_runs_twice(self) -> None:
        assert all(count == 1 for count in self.network.runs.values())

    @invariant()
    def no_call_is_answered_twice(self) -> None:
        for backend in self.network.backends.values():
            assert all(count == 1 for count in backend.remembered.values())

    def teardown(self) -> None:
        network = self.network
        self.come_to_rest()
        if network.client.phase is Phase.LIVE:
            self.both_wait_for_nothing()
        network.feed_client(HangUp("done"))
        network.settle()
        assert network.client.phase is Phase.CLOSED, "the end is agreed upon"
        network.pass_time(GRACE_SECONDS)
        for backend in network.backends.values():
            assert backend.session.phase is ServerPhase.CLOSED, "nothing is left over"
        assert network.running == [], "no tool outlives its call"

    def come_to_rest(self) -> None:
        """Adds a last turn of the caller and lets everything end."""
        network = self.network
        network.settle()
        if self.backend is not None:
            self.backend.feed(SpeechStarted())
            self.backend.feed(TurnCommitted("Goodbye."))
        network.settle()
        # Lost messages are handled by timers.
        network.pass_time(GRACE_SECONDS)
        network.settle()

    def both_wait_for_nothing(self) -> None:
        network = self.network
        living = [
            backend
            for backend in network.backends.values()
            if backend.session.phase is not ServerPhase.CLOSED
        ]
        assert len(living) == 1, "one session is alive, and no other is kept"
        [backend] = living
        assert backend.session.session_id == network.client.connection.session_id
        assert backend.session.turn is Turn.IDLE
        assert backend.witness.calls == {}, "every call was answered or forgotten"
        assert network.client.is_settled, "at rest the client waits for nothing"
        assert not network.client.turn_manager.calls.any_open


class BreakingLines(TalkOverNetwork):
    """The same with drops, which each end notices at some time."""

    @precondition(lambda self: self.network.wire)
    @rule()
    def line_is_cut(self) -> None:
        assert self.network.wire is not None
        self.network.wire.cut()

    @rule()
    def client_notices(self) -> None:
        self.network.client_notices()

    @rule()
    def server_notices(self) -> None:
        self.network.server_notices()

    @precondition(lambda self: self.network.is_dialing)
    @rule(stands=st.sampled_from([True, True, False]))
    def connection_comes(self, stands: bool) -> None:
        if stands:
            self.network.connect()
        else:
            self.network.refuse()

    @rule(seconds=st.sampled_from([0.3, 2.0, 9.0, 15.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.network.pass_time(seconds)

    @precondition(lambda self: self.backend and len(self.network.backends) > 2)
    @rule()
    def server_leaves(self) -> None:
        assert self.backend is not None
        self.backend.feed(ShutDown())


DIRECTION = st.sampled_from(["up", "down"])
PLACE = st.integers(0, 5)


class BrokenPeer(TalkOverNetwork):
    """Messages arrive twice, late, never or damaged: weaker invariants still hold."""

    def under_way(self, direction: str) -> deque[Any]:
        wire = self.network.wire
        return deque() if wire is None else getattr(wire, direction)

    @rule(direction=DIRECTION, place=PLACE, later=PLACE)
    def comes_twice(self, direction: str, place: int, later: int) -> None:
        queue = self.under_way(direction)
        if place < len(queue) and isinstance(queue[place], str):
            queue.insert(place + later, queue[place])

    @rule(direction=DIRECTION, place=PLACE, later=PLACE)
    def comes_late(self, direction: str, place: int, later: int) -> None:
        queue = self.under_way(direction)
        if place < len(queue):
            message = queue[place]
            del queue[place]
            queue.insert(place + later, message)

    @rule(direction=DIRECTION, place=PLACE)
    def never_comes(self, direction: str, place: int) -> None:
        queue = self.under_way(direction)
        if place < len(queue):
            del queue[place]

    @rule(
        direction=DIRECTION,
        place=PLACE,
        text=st.sampled_from(["{", '{"type":"tool.call"}', '{"type":"x.y"}', "[]"]),
    )
    def comes_as_garbage(self, direction: str, place: int, text: str) -> None:
        queue = self.under_way(direction)
        if place < len(queue) and isinstance(queue[place], str):
            queue[place] = text

    @rule(seconds=st.sampled_from([0.3, 2.0, 9.0, 15.0]))
    def time_passes(self, seconds: float) -> None:
        self.network.pass_time(seconds)


TestTalkOverNetwork = TalkOverNetwork.TestCase
TestTalkOverNetwork.settings = MACHINE
TestBreakingLines = BreakingLines.TestCase
TestBreakingLines.settings = MACHINE
TestBrokenPeer = BrokenPeer.TestCase
TestBrokenPeer.settings = MACHINE
