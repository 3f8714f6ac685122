"""Table of a conversation's tool calls with their states and results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from runner.protocol.messages import ToolCall, ToolResult

# Finished calls are kept so that a repeated call_id runs once. The number is limited,
# because an hour-long call must not grow without bound and a repetition comes soon.
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
    """One tool call; `spoke` is true if its reply contained speech."""

    message: ToolCall
    reply_id: str
    policy: ToolPolicy
    state: CallState
    result: ToolResult | None = None
    spoke: bool = False
    is_unconfirmed: bool = False  # the connection dropped before its result was used

    @property
    def is_open(self) -> bool:
        """True if its result has not been sent."""
        return self.state not in (CallState.ANSWERED, CallState.FORGOTTEN)


class ToolCallTable:
    """All tool calls of a conversation in the order in which they arrived."""

    def __init__(self) -> None:
        self._calls: dict[str, PendingToolCall] = {}

    def __iter__(self) -> Iterator[PendingToolCall]:
        return iter(list(self._calls.values()))

    @property
    def any_open(self) -> bool:
        """True if any result has not been sent."""
        return any(call.is_open for call in self._calls.values())

    def find(self, call_id: str) -> PendingToolCall | None:
        """Returns a call by its id, or None."""
        return self._calls.get(call_id)

    def begin(
        self, message: ToolCall, reply_id: str, policy: ToolPolicy
    ) -> PendingToolCall | None:
        """Adds a call; returns None if its id is known, because a call_id runs once.

        If the service repeats a call after a drop, it did not receive the result: the
        result is held again.
        """
        known = self._calls.get(message.call_id)
        if known is not None:
            if known.is_unconfirmed:
                known.state, known.is_unconfirmed = CallState.FINISHED, False
            return None
        state = CallState.WAITING if policy.terminal else CallState.RUNNING
        call = PendingToolCall(message, reply_id, policy, state)
        self._calls[message.call_id] = call
        self._drop_oldest()
        return call

    def refuse(self, message: ToolCall, reply_id: str) -> None:
        """Adds a call that must not run, because its reply was interrupted."""
        call = self.begin(message, reply_id, ToolPolicy())
        if call is not None:
            call.state = CallState.FORGOTTEN

    def finish(self, call_id: str, text: str, is_error: bool) -> PendingToolCall | None:
        """Holds a result; returns None if the call does not run any more."""
        call = self._calls.get(call_id)
        if call is None or call.state is not CallState.RUNNING:
            return None
        call.state = CallState.FINISHED
        call.result = ToolResult(call_id, text, is_error)
        return call

    def fail_terminal(self, state: CallState, text: str) -> None:
        """Holds an error for every terminal call in this state: it did not hang up."""
        for call in self._calls.values():
            if call.policy.terminal and call.state is state:
                call.state = CallState.FINISHED
                call.result = ToolResult(call.message.call_id, text, is_error=True)

    def take_results(self) -> list[ToolResult]:
        """Marks the held results as answered and returns them in order of the calls."""
        results: list[ToolResult] = []
        for call in self._calls.values():
            if call.state is CallState.FINISHED and call.result is not None:
                call.state = CallState.ANSWERED
                results.append(call.result)
        return results

    def acknowledge(self) -> None:
        """Marks the sent results as received: a reply has begun."""
        for call in self._calls.values():
            if call.state is CallState.ANSWERED:
                call.result, call.is_unconfirmed = None, False

    def mark_unconfirmed(self) -> None:
        """Marks the last sent results as unconfirmed: the connection dropped."""
        for call in self._calls.values():
            if call.state is CallState.ANSWERED and call.result is not None:
                call.is_unconfirmed = True

    def reopen(self, call_ids: Iterable[str]) -> None:
        """Holds the results of these calls again: they were not sent."""
        for call_id in call_ids:
            call = self._calls.get(call_id)
            if call is not None and call.state is CallState.ANSWERED:
                call.state = CallState.FINISHED if call.result else call.state

    def forget(self, reply_id: str | None = None) -> list[PendingToolCall]:
        """Forgets the open calls of a reply (None: all); returns the running ones."""
        running: list[PendingToolCall] = []
        for call in self._calls.values():
            if reply_id is None:
                call.is_unconfirmed = False  # a lost session does not repeat it
            if not call.is_open or reply_id not in (None, call.reply_id):
                continue
            if call.state is CallState.RUNNING:
                running.append(call)
            call.state = CallState.FORGOTTEN
            call.result = None
        return running

    def _drop_oldest(self) -> None:
        for call_id in list(self._calls)[: max(0, len(self._calls) - _MAX_CALLS)]:
            if not self._calls[call_id].is_open:
                del self._calls[call_id]
