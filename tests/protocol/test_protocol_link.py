"""Both ends of a session, joined by nothing but the text on the wire."""

from __future__ import annotations

import itertools
from collections import Counter, deque

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from runner.protocol.client import actions as client_actions
from runner.protocol.client import events as client_events
from runner.protocol.client.actions import Connect, Play, RunTool, StopPlayback
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import Connected, HangUp, ToolFinished
from runner.protocol.client.session import ClientSession
from runner.protocol.client.state import Phase
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.codec import decode_client, decode_server, encode
from runner.protocol.messages import ReplyDone, SessionError, ToolCall
from runner.protocol.server import events as server_events
from runner.protocol.server.events import (
    AudioChunk,
    ClauseStarted,
    ReplyFinished,
    SpeechStarted,
    StartReply,
    StopReply,
    ToolCallRequested,
    TurnCommitted,
)
from runner.protocol.server.session import ServerSession

TOOL = {"type": "function", "name": "look", "description": "", "parameters": {}}
SESSION = {"system_prompt": "Be brief.", "greeting": "Hi.", "tools": [TOOL]}


class Link:
    """A client and a server session, and the text that is under way between them."""

    def __init__(self) -> None:
        numbers = itertools.count(1)
        self.now = 0.0
        self.client = ClientSession(
            ClientConfig(session=SESSION, tools={"look": ToolPolicy()})
        )
        self.server = ServerSession(lambda kind: f"{kind}_{next(numbers)}")
        self.up: deque[str] = deque()
        self.down: deque[str] = deque()
        self.replies: list[str] = []  # what the server's mind is busy with
        self.running: list[ToolCall] = []
        self.speaker = 0  # pieces of sound that the client holds
        self.seen: list[object] = []  # what reached the client, in order
        self.perform(self.client.start(self.now))

    def perform(self, actions: list[client_actions.Action]) -> None:
        for action in actions:
            match action:
                case Connect():
                    self.tell_client(Connected())
                case client_actions.Send(message):
                    self.up.append(encode(message))
                case Play():
                    self.speaker += 1
                case StopPlayback():
                    self.speaker = 0
                case RunTool(call):
                    self.running.append(call)

    def tell_client(self, event: client_events.Event) -> None:
        self.perform(self.client.feed(event, self.now))

    def tell_server(self, event: server_events.ServerEvent) -> None:
        for action in self.server.feed(event, self.now):
            match action:
                case server_events.Send(message):
                    self.down.append(encode(message))
                case StartReply(reply_id):
                    self.replies.append(reply_id)
                case StopReply(reply_id):
                    if reply_id in self.replies:
                        self.replies.remove(reply_id)

    def deliver_up(self) -> None:
        if self.up:
            message = decode_client(self.up.popleft())
            self.tell_server(server_events.Received(message))

    def deliver_down(self) -> None:
        if self.down:
            message = decode_server(self.down.popleft())
            self.seen.append(message)
            self.tell_client(client_events.Received(message))

    def settle(self) -> None:
        """Deliver everything, end every tool and reply, until nothing moves."""
        for _ in range(1000):
            if self.up:
                self.deliver_up()
            elif self.down:
                self.deliver_down()
            elif self.running:
                call = self.running.pop()
                self.tell_client(ToolFinished(call.call_id, "1"))
            elif self.replies:
                self.tell_server(ReplyFinished(self.replies.pop(0)))
            else:
                return
        raise AssertionError("the two ends never come to rest")


class LinkedSessions(RuleBasedStateMachine):
    """Speech, thoughts, tools and deliveries in any order; both ends must agree."""

    @initialize()
    def start(self) -> None:
        self.link = Link()
        self.link.deliver_up()
        self.link.settle()
        assert self.link.client.phase is Phase.LIVE

    @rule()
    def deliver_up(self) -> None:
        self.link.deliver_up()

    @rule()
    def deliver_down(self) -> None:
        self.link.deliver_down()

    @rule()
    def caller_speaks(self) -> None:
        self.link.tell_server(SpeechStarted())

    @rule(text=st.sampled_from(["Where is it?", "Stop.", ""]))
    def caller_stops(self, text: str) -> None:
        self.link.tell_server(TurnCommitted(text))

    @precondition(lambda self: self.link.replies)
    @rule()
    def agent_speaks(self) -> None:
        reply_id = self.link.replies[0]
        self.link.tell_server(ClauseStarted(reply_id, "It is here.", 20.0))
        self.link.tell_server(AudioChunk(reply_id, bytes(960)))

    @precondition(lambda self: self.link.replies)
    @rule()
    def agent_calls_a_tool(self) -> None:
        self.link.tell_server(ToolCallRequested(self.link.replies[0], "look"))

    @precondition(lambda self: self.link.replies)
    @rule()
    def agent_finishes(self) -> None:
        self.link.tell_server(ReplyFinished(self.link.replies.pop(0)))

    @precondition(lambda self: self.link.running)
    @rule()
    def tool_ends(self) -> None:
        call = self.link.running.pop(0)
        self.link.tell_client(ToolFinished(call.call_id, "1"))

    @rule()
    def everything_arrives(self) -> None:
        self.link.settle()

    @invariant()
    def the_server_never_complains_about_the_client(self) -> None:
        complaints = [m for m in self.link.seen if isinstance(m, SessionError)]
        assert complaints == []

    @invariant()
    def every_reply_is_over_at_most_once(self) -> None:
        done = Counter(m.reply_id for m in self.link.seen if isinstance(m, ReplyDone))
        assert all(count == 1 for count in done.values())

    def teardown(self) -> None:
        link = self.link
        link.tell_server(SpeechStarted())
        link.tell_server(TurnCommitted("Goodbye."))
        link.settle()
        assert link.client.is_settled, "at rest the client waits for nothing"
        assert not link.client.turn_manager.calls.any_open, "no call is left unanswered"
        link.tell_client(HangUp("done"))
        link.settle()
        assert link.client.phase is Phase.CLOSED, "the end is agreed upon"


TestLinkedSessions = LinkedSessions.TestCase
TestLinkedSessions.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_an_interruption_silences_the_client_and_trims_the_words() -> None:
    link = Link()
    link.settle()
    link.tell_server(SpeechStarted())
    link.tell_server(TurnCommitted("Tell me everything."))
    reply_id = link.replies[0]
    link.tell_server(ClauseStarted(reply_id, "Everything is a lot.", 1000.0))
    link.tell_server(AudioChunk(reply_id, bytes(480)))
    while link.down:
        link.deliver_down()
    assert link.speaker == 1

    link.tell_server(SpeechStarted())
    while link.down:
        link.deliver_down()

    assert link.speaker == 0
    assert ReplyDone(reply_id, "interrupted") in [
        ReplyDone(m.reply_id, m.status) for m in link.seen if isinstance(m, ReplyDone)
    ]
