"""A client session, any number of server sessions, and lines between them that break.

The test plays the parts of the engine (a connection for every `Connect`) and of the
door (a session for every connection, or the one that is resumed). A line that is cut
loses what is under way in both directions; each end hears of it when it is told.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque

from runner.errors import RemoteProtocolError
from runner.protocol.client import actions as client_actions
from runner.protocol.client import events as client_events
from runner.protocol.client.actions import CancelTool, Connect, Play, RunTool
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.session import ClientSession
from runner.protocol.client.state import Phase as ClientPhase
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.codec import decode_client, decode_server, encode
from runner.protocol.messages import (
    InputSpeechStarted,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionResume,
    ToolCall,
    ToolResult,
)
from runner.protocol.server import events as server_events
from runner.protocol.server.events import ReplyFinished, StartReply, StopReply
from runner.protocol.server.session import Phase as ServerPhase
from runner.protocol.server.session import ServerSession
from tests.protocol.server.witness import Witness

LOOK = {"type": "function", "name": "look", "timeout_seconds": 20}
BOOK = {"type": "function", "name": "book", "timeout_seconds": 20}
SESSION = {"system_prompt": "Be brief.", "greeting": "Hi.", "tools": [LOOK, BOOK]}
TOOLS = {"look": ToolPolicy(), "book": ToolPolicy(on_interrupt="finish")}


class Wire:
    """One connection; a number on its way down is a close code."""

    def __init__(self) -> None:
        self.up: deque[str] = deque()
        self.down: deque[str | int] = deque()
        self.is_cut = False
        self.backend: Backend | None = None

    def cut(self) -> None:
        """Lose everything that is under way, and all that follows."""
        self.is_cut = True
        self.up.clear()
        self.down.clear()


class Backend:
    """One server session, its mind and its witness; speaks over `wire`, if any."""

    def __init__(self, network: Network, wire: Wire) -> None:
        self.session = ServerSession(network.make_id)
        self.witness = Witness()
        self.wire: Wire | None = wire
        self.replies: list[str] = []  # what the mind is busy with
        self.remembered: Counter[str] = Counter()  # results, by call
        self._network = network

    def feed(self, event: server_events.ServerEvent) -> None:
        phase, now = self.session.phase, self._network.now
        actions = self.session.feed(event, now)
        loses = server_events.Disconnected | server_events.Resumed
        if phase is ServerPhase.LIVE and isinstance(event, loses):
            self.witness.lose_line()
        self.witness.watch(phase, actions, now)
        for action in actions:
            match action:
                case server_events.Send(message):
                    self._put(encode(message))
                case server_events.Close(code):
                    self._put(code)
                case server_events.AppendHistory(ToolResult(call_id=call_id)):
                    self.remembered[call_id] += 1
                case StartReply(reply_id):
                    self.replies.append(reply_id)
                case StopReply(reply_id) if reply_id in self.replies:
                    self.replies.remove(reply_id)

    def resume(self, wire: Wire) -> None:
        """Go on over this wire; an earlier one is closed."""
        self._put(1000)
        self.wire = wire
        self.feed(server_events.Resumed())

    def detach(self, wire: Wire) -> None:
        """The wire is gone, as far as this end knows."""
        if self.wire is wire:
            self.wire = None
            self.feed(server_events.Disconnected())

    def _put(self, what: str | int) -> None:
        if self.wire is not None and not self.wire.is_cut:
            self.wire.down.append(what)


class Network:
    """Everything that moves between one client and the service."""

    def __init__(self) -> None:
        numbers = itertools.count(1)
        self.make_id = lambda kind: f"{kind}_{next(numbers)}"
        self.now = 0.0
        self.client = ClientSession(ClientConfig(session=SESSION, tools=TOOLS))
        self.backends: dict[str, Backend] = {}
        self.wires: list[Wire] = []  # those that an end still has to hear about
        self.wire: Wire | None = None  # the client's
        self.is_dialing = False
        self.running: list[ToolCall] = []
        self.runs: Counter[str] = Counter()
        self.living: str | None = None  # the reply whose sound may be played
        self.heard: Counter[str] = Counter()  # pieces of sound by reply
        self._perform(self.client.start(self.now))

    # ------------------------------------------------------------------ client's end

    def tell_client(self, event: client_events.Event) -> None:
        match event:
            case client_events.Received(ReplyStarted(reply_id=reply_id)):
                self.living = reply_id
            case client_events.Received(ReplyDone(reply_id=reply_id)):
                self.living = None if reply_id == self.living else self.living
            case client_events.Received(InputSpeechStarted()):
                self.living = None
        self._perform(self.client.feed(event, self.now), event)

    def _perform(
        self,
        actions: list[client_actions.Action],
        event: client_events.Event | None = None,
    ) -> None:
        for action in actions:
            match action:
                case Connect():
                    self.hang_up()
                    self.is_dialing = True
                case client_actions.Send(message):
                    if self.wire is not None and not self.wire.is_cut:
                        self.wire.up.append(encode(message))
                case client_actions.Close():
                    self.hang_up()
                    self.is_dialing = False
                case client_actions.StopPlayback():
                    self.living = None
                case RunTool(call):
                    self.runs[call.call_id] += 1
                    self.running.append(call)
                case CancelTool(call_id):
                    self.running = [c for c in self.running if c.call_id != call_id]
                case Play():
                    assert isinstance(event, client_events.Received)
                    assert isinstance(event.message, ReplyAudio)
                    reply_id = event.message.reply_id
                    assert reply_id == self.living, "no sound of a dead reply"
                    self.heard[reply_id] += 1

    def hang_up(self) -> None:
        """Let go of the client's connection: nothing more is heard of it here."""
        if self.wire is not None:
            self.wire.down.clear()
            self.wire.is_cut = True
            self.wire = None

    def connect(self) -> None:
        """The connection that the client wants stands."""
        self.is_dialing = False
        self.wire = Wire()
        self.wires.append(self.wire)
        backend = Backend(self, self.wire)
        self.wire.backend = backend
        self.backends[backend.session.session_id] = backend
        self.tell_client(client_events.Connected())

    def refuse(self) -> None:
        """The connection that the client wants cannot be had."""
        self.is_dialing = False
        self.tell_client(client_events.Disconnected("nobody answers", 1006))

    def deliver_down(self) -> None:
        wire = self.wire
        if wire is None or not wire.down:
            return
        what = wire.down.popleft()
        if isinstance(what, int):
            wire.is_cut = True
            self.wire = None
            self.tell_client(client_events.Disconnected("closed", what))
        else:
            self.tell_client(_read(what))

    def client_notices(self) -> None:
        """The client hears that its line was cut."""
        if self.wire is not None and self.wire.is_cut:
            self.wire = None
            self.tell_client(client_events.Disconnected("reset", 1006))

    # ------------------------------------------------------------------ server's end

    def deliver_up(self) -> None:
        for wire in self.wires:
            if wire.up and wire.backend is not None:
                self._receive(wire, wire.backend, wire.up.popleft())
                return

    def _receive(self, wire: Wire, backend: Backend, text: str) -> None:
        try:
            message = decode_client(text)
        except RemoteProtocolError as error:
            backend.feed(server_events.Malformed(error))
            return
        opening = backend.session.phase is ServerPhase.OPENING
        if isinstance(message, SessionResume) and opening:
            known = self.backends.get(message.session_id)
            gone = (ServerPhase.OPENING, ServerPhase.CLOSED)
            if known is not None and known.session.phase not in gone:
                backend.detach(wire)
                wire.backend = known
                known.resume(wire)
                return
        backend.feed(server_events.Received(message))

    def server_notices(self) -> None:
        """The server hears of the oldest line that is gone."""
        for wire in self.wires:
            if wire.is_cut and not wire.up:
                self.wires.remove(wire)
                assert wire.backend is not None
                wire.backend.detach(wire)
                return

    # ------------------------------------------------------------------------- both

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and every deadline that lies in it."""
        until = self.now + seconds
        for _ in range(1000):
            ends = [b.session.deadline for b in self.backends.values()]
            due = [d for d in [self.client.deadline, *ends] if d is not None]
            if not due or min(due) > until:
                self.now = until
                return
            self.now = max(self.now, min(due))
            self.tell_client(client_events.Tick())
            for backend in list(self.backends.values()):
                deadline = backend.session.deadline
                if deadline is not None and deadline <= self.now:
                    backend.feed(server_events.Tick())
        raise AssertionError("time stands still: a deadline fires for ever")

    def settle(self) -> None:
        """Let everything arrive, everyone notice, and all work end."""
        for _ in range(2000):
            if not self._step():
                return
        raise AssertionError("the two ends never come to rest")

    def _step(self) -> bool:
        minds = [b for b in self.backends.values() if b.replies]
        if any(wire.up for wire in self.wires):
            self.deliver_up()
        elif self.wire is not None and self.wire.down:
            self.deliver_down()
        elif self.wire is not None and self.wire.is_cut:
            self.client_notices()
        elif any(wire.is_cut for wire in self.wires):
            self.server_notices()
        elif self.is_dialing:
            self.connect()
        elif self.running:
            call = self.running.pop()
            self.tell_client(client_events.ToolFinished(call.call_id, "1"))
        elif minds:
            minds[0].feed(ReplyFinished(minds[0].replies.pop(0)))
        elif self.client.phase not in (ClientPhase.LIVE, ClientPhase.CLOSED):
            assert self.client.deadline is not None, "it waits for nothing"
            self.pass_time(max(0.0, self.client.deadline - self.now))
        else:
            return False
        return True


def _read(text: str) -> client_events.Event:
    try:
        return client_events.Received(decode_server(text))
    except RemoteProtocolError as error:
        return client_events.MalformedMessage(error.message)
