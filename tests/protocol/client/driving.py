"""Driving a client session by plain calls."""

from __future__ import annotations

from collections.abc import Sequence

from runner.protocol.client.actions import Action, Close, Send
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import Connected, Event, Received
from runner.protocol.client.session import ClientSession
from runner.protocol.client.state import Phase
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import ServerMessage, SessionReady, ToolCall, ToolResult

TOOLS = {
    "look": ToolPolicy(),
    "book": ToolPolicy(on_interrupt="finish"),
    "end_call": ToolPolicy(terminal=True),
}
READY = SessionReady("sess_1", resume_token="token_1")
LOOK = ToolCall("call_1", "look", {"at": "it"})
RESULT = ToolResult("call_1", '"seen"')


def fed(session: ClientSession, *events: Event, now: float = 1.0) -> list[Action]:
    """Feed events in order and return the actions of the last one."""
    actions: list[Action] = []
    for event in events:
        actions = session.feed(event, now)
    return actions


def hears(
    session: ClientSession, *messages: ServerMessage, now: float = 1.0
) -> list[Action]:
    return fed(session, *(Received(message) for message in messages), now=now)


def live(**config: object) -> ClientSession:
    session = ClientSession(ClientConfig(**{"tools": TOOLS, **config}))  # type: ignore[arg-type]  # keyword passing for the tests' brevity
    session.start(0.0)
    fed(session, Connected(), Received(READY))
    assert session.phase is Phase.LIVE
    return session


def sent(actions: Sequence[Action]) -> list[object]:
    return [action.message for action in actions if isinstance(action, Send)]


def closing(actions: Sequence[Action]) -> Close:
    close = actions[-1]
    assert isinstance(close, Close)
    return close
