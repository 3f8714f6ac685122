"""The book of tool calls: who asked, how far each one is, what may be answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from runner.protocol.messages import ToolCall, ToolResult

# Finished calls are remembered so that a repeated call_id runs once; an hour-long call
# must not grow without bound, and a repetition comes soon or never.
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """How the calls of one tool are treated.

    A terminal tool runs only after an uninterrupted reply and ends the session;
    `finish` lets a call run on when the caller interrupts (its result is dropped);
    `announce` is said while it runs, if nobody says anything else.
    """

    terminal: bool = False
    on_interrupt: Literal["cancel", "finish"] = "cancel"
    announce: str | None = None


class CallState(Enum):
    """The life of a call; the last two are final."""

    WAITING = auto()  # a terminal tool, until its reply is over
    RUNNING = auto()
    FINISHED = auto()  # the result is held until the floor is free
    ANSWERED = auto()
    FORGOTTEN = auto()  # interrupted, or its session is gone


@dataclass(slots=True)
class PendingToolCall:
    """One call; `spoke` says whether its reply had words."""

    message: ToolCall
    reply_id: str
    rules: ToolPolicy
    state: CallState
    result: ToolResult | None = None
    spoke: bool = False
    is_doubtful: bool = False  # the line dropped before its answer was acknowledged

    @property
    def is_open(self) -> bool:
        """Whether an answer is still owed."""
        return self.state not in (CallState.ANSWERED, CallState.FORGOTTEN)


class ToolCallTable:
    """All calls of a conversation in the order in which they came."""

    def __init__(self) -> None:
        self._calls: dict[str, PendingToolCall] = {}

    def __iter__(self) -> Iterator[PendingToolCall]:
        return iter(list(self._calls.values()))

    @property
    def any_open(self) -> bool:
        """Whether any answer is still owed."""
        return any(call.is_open for call in self._calls.values())

    def find(self, call_id: str) -> PendingToolCall | None:
        """Return a call by its id, if it is known."""
        return self._calls.get(call_id)

    def begin(
        self, message: ToolCall, reply_id: str, rules: ToolPolicy
    ) -> PendingToolCall | None:
        """Enter a call; None when its id is known: the same call_id runs once.

        A far end that asks again after a drop never got the answer: it is held again.
        """
        known = self._calls.get(message.call_id)
        if known is not None:
            if known.is_doubtful:  # and so answered, or to be
                known.state, known.is_doubtful = CallState.FINISHED, False
            return None
        state = CallState.WAITING if rules.terminal else CallState.RUNNING
        call = PendingToolCall(message, reply_id, rules, state)
        self._calls[message.call_id] = call
        self._shed()
        return call

    def refuse(self, message: ToolCall, reply_id: str) -> None:
        """Enter a call that must never run: its reply is already dead."""
        call = self.begin(message, reply_id, ToolPolicy())
        if call is not None:
            call.state = CallState.FORGOTTEN

    def finish(self, call_id: str, text: str, is_error: bool) -> PendingToolCall | None:
        """Hold a result; None when nobody wants it any more."""
        call = self._calls.get(call_id)
        if call is None or call.state is not CallState.RUNNING:
            return None
        call.state = CallState.FINISHED
        call.result = ToolResult(call_id, text, is_error)
        return call

    def fail_terminal(self, state: CallState, text: str) -> None:
        """Hold an error for every terminal call in this state: it did not hang up."""
        for call in self._calls.values():
            if call.rules.terminal and call.state is state:
                call.state = CallState.FINISHED
                call.result = ToolResult(call.message.call_id, text, is_error=True)

    def take_results(self) -> list[ToolResult]:
        """Return the held results in the order of their calls, as answered."""
        results: list[ToolResult] = []
        for call in self._calls.values():
            if call.state is CallState.FINISHED and call.result is not None:
                call.state = CallState.ANSWERED
                results.append(call.result)
        return results

    def acknowledge(self) -> None:
        """A reply began: the answers that were sent have arrived."""
        for call in self._calls.values():
            if call.state is CallState.ANSWERED:
                call.result, call.is_doubtful = None, False

    def doubt(self) -> None:
        """The line dropped: whether the last answers arrived is unknown."""
        for call in self._calls.values():
            if call.state is CallState.ANSWERED and call.result is not None:
                call.is_doubtful = True

    def reopen(self, call_ids: Iterable[str]) -> None:
        """Hold the results of these calls again: they never went out."""
        for call_id in call_ids:
            call = self._calls.get(call_id)
            if call is not None and call.state is CallState.ANSWERED:
                call.state = CallState.FINISHED if call.result else call.state

    def forget(self, reply_id: str | None = None) -> list[PendingToolCall]:
        """Forget the open calls of a reply (None: of all); return those that run."""
        running: list[PendingToolCall] = []
        for call in self._calls.values():
            if reply_id is None:
                call.is_doubtful = False  # nobody is left who could ask again
            if not call.is_open or reply_id not in (None, call.reply_id):
                continue
            if call.state is CallState.RUNNING:
                running.append(call)
            call.state = CallState.FORGOTTEN
            call.result = None
        return running

    def _shed(self) -> None:
        for call_id in list(self._calls)[: max(0, len(self._calls) - _REMEMBERED)]:
            if not self._calls[call_id].is_open:
                del self._calls[call_id]
