"""Table of a conversation's tool calls with their states and results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from runner.protocol.messages import ToolCall, ToolResult

# Calls in a final state are kept so that a repeated call_id runs once. The number in
# each state is limited, because an hour-long call must not grow without bound and a
# repetition comes soon.
_MAX_CALLS = 1000


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """Treatment of the calls of one tool.

    A terminal tool runs only after an uninterrupted reply and ends the session.
    `finish` lets a call continue when the caller interrupts; its result is dropped.
    `announce` is said while the tool runs, if there is silence.
    """

    terminal: bool = False
    on_interrupt: Literal["cancel", "finish"] = "cancel"
    announce: str | None = None


class CallState(Enum):
    """States of a tool call; the last two are final."""

    WAITING = auto()  # a terminal tool before the end of its reply
    RUNNING = auto()
    FINISHED = auto()  # the result is held until the floor is free
    ANSWERED = auto()
    FORGOTTEN = auto()  # interrupted, or its session is lost


@dataclass(slots=True)
class PendingToolCall:
    """One tool call; `spoke` is true if its reply contained speech.

    `number` counts the calls in the order of their arrival. Only the table changes the
    state.
    """

    message: ToolCall
    reply_id: str
    policy: ToolPolicy
    state: CallState
    number: int
    result: ToolResult | None = None
    spoke: bool = False
    is_unconfirmed: bool = False  # the connection dropped before its result was used

    @property
    def is_open(self) -> bool:
        """True if its result has not been sent."""
        return self.state in _OPEN


_OPEN = (CallState.WAITING, CallState.RUNNING, CallState.FINISHED)


class ToolCallTable:
    """All tool calls of a conversation.

    The calls of each state are at hand, so that thousands of open calls do not make
    each message slower.
    """

    def __init__(self) -> None:
        self._calls: dict[str, PendingToolCall] = {}  # in the order of their arrival
        self._in_state: dict[CallState, dict[str, PendingToolCall]] = {
            state: {} for state in CallState
        }
        # Sent results that no reply has followed yet.
        self._unacknowledged: dict[str, PendingToolCall] = {}
        self._arrived = 0

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def any_open(self) -> bool:
        """True if any result has not been sent."""
        return any(self._in_state[state] for state in _OPEN)

    @property
    def held(self) -> int:
        """Number of results that are held until the floor is free."""
        return len(self._in_state[CallState.FINISHED])

    def find(self, call_id: str) -> PendingToolCall | None:
        """Returns a call by its id, or None."""
        return self._calls.get(call_id)

    def begin(
        self, message: ToolCall, reply_id: str, policy: ToolPolicy
    ) -> PendingToolCall | None:
        """Adds a call; returns None if it is known, because a call_id runs once.

        If the service repeats a call after a drop, it did not receive the result: the
        result is held again. An answered id with another tool or other arguments is a
        new call.
        """
        known = self._calls.get(message.call_id)
        if known is not None and (known.is_open or _is_same(known.message, message)):
            if known.is_unconfirmed:
                known.is_unconfirmed = False
                self._move(known, CallState.FINISHED)
            return None
        if known is not None:
            self._remove(known)
        state = CallState.WAITING if policy.terminal else CallState.RUNNING
        self._arrived += 1
        call = PendingToolCall(message, reply_id, policy, state, self._arrived)
        self._calls[message.call_id] = call
        self._in_state[state][message.call_id] = call
        return call

    def refuse(self, message: ToolCall, reply_id: str) -> None:
        """Adds a call that must not run, because its reply was interrupted."""
        call = self.begin(message, reply_id, ToolPolicy())
        if call is not None:
            self._move(call, CallState.FORGOTTEN)

    def run_waiting(self, *, spoke: bool) -> list[PendingToolCall]:
        """Marks the waiting calls as running and returns them."""
        waiting = list(self._in_state[CallState.WAITING].values())
        for call in waiting:
            call.spoke = spoke
            self._move(call, CallState.RUNNING)
        return waiting

    def finish(self, call_id: str, text: str, is_error: bool) -> PendingToolCall | None:
        """Holds a result; returns None if the call does not run any more."""
        call = self._in_state[CallState.RUNNING].get(call_id)
        if call is None:
            return None
        call.result = ToolResult(call_id, text, is_error)
        self._move(call, CallState.FINISHED)
        return call

    def fail_terminal(self, state: CallState, text: str) -> None:
        """Holds an error for every terminal call in this state: it did not hang up."""
        for call in list(self._in_state[state].values()):
            if call.policy.terminal:
                call.result = ToolResult(call.message.call_id, text, is_error=True)
                self._move(call, CallState.FINISHED)

    def take_results(self) -> list[ToolResult]:
        """Marks the held results as answered and returns them in order of the calls."""
        held = self._in_state[CallState.FINISHED].values()
        results: list[ToolResult] = []
        for call in sorted(held, key=lambda each: each.number):
            if call.result is not None:
                self._move(call, CallState.ANSWERED)
                self._unacknowledged[call.message.call_id] = call
                results.append(call.result)
        return results

    def acknowledge(self) -> None:
        """Marks the sent results as received: a reply has begun."""
        for call in self._unacknowledged.values():
            call.result, call.is_unconfirmed = None, False
        self._unacknowledged.clear()

    def mark_unconfirmed(self) -> None:
        """Marks the last sent results as unconfirmed: the connection dropped."""
        for call in self._unacknowledged.values():
            call.is_unconfirmed = True

    def reopen(self, call_ids: Iterable[str]) -> None:
        """Holds the results of these calls again: they were not sent."""
        for call_id in call_ids:
            call = self._unacknowledged.get(call_id)
            if call is not None:
                self._move(call, CallState.FINISHED)

    def forget(self, reply_id: str | None = None) -> list[PendingToolCall]:
        """Forgets the open calls of a reply (None: all); returns the running ones."""
        if reply_id is None:
            for call in self._unacknowledged.values():
                call.is_unconfirmed = False  # a lost session does not repeat it
        forgotten = [
            call
            for state in _OPEN
            for call in self._in_state[state].values()
            if reply_id in (None, call.reply_id)
        ]
        running = [call for call in forgotten if call.state is CallState.RUNNING]
        for call in forgotten:
            call.result = None
            self._move(call, CallState.FORGOTTEN)
        return running

    def _move(self, call: PendingToolCall, state: CallState) -> None:
        call_id = call.message.call_id
        del self._in_state[call.state][call_id]
        self._unacknowledged.pop(call_id, None)
        call.state = state
        self._in_state[state][call_id] = call
        if len(self._in_state[state]) > _MAX_CALLS and state not in _OPEN:
            self._remove(next(iter(self._in_state[state].values())))

    def _remove(self, call: PendingToolCall) -> None:
        call_id = call.message.call_id
        del self._calls[call_id]
        del self._in_state[call.state][call_id]
        self._unacknowledged.pop(call_id, None)


def _is_same(one: ToolCall, other: ToolCall) -> bool:
    return (one.name, one.arguments) == (other.name, other.arguments)
