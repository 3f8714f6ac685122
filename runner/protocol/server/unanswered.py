"""The calls that a session's replies have left open, and those that are closed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from runner.protocol.messages import ToolCall


@dataclass(frozen=True, slots=True)
class _OpenCall:
    message: ToolCall
    reply_id: str
    deadline: float


class OpenToolCalls:
    """Keeps account of one session's calls; owned by the floor."""

    def __init__(self) -> None:
        self._open: dict[str, _OpenCall] = {}
        # Answered or forgotten: a late or second result is nobody's mistake.
        self._closed: set[str] = set()

    @property
    def deadline(self) -> float | None:
        """When the first open call times out."""
        return min((call.deadline for call in self._open.values()), default=None)

    def open(self, call: ToolCall, reply_id: str, deadline: float) -> None:
        """Note that a call is on its way to the client."""
        self._open[call.call_id] = _OpenCall(call, reply_id, deadline)

    @property
    def messages(self) -> list[ToolCall]:
        """The calls that are open, as they were sent, oldest first."""
        return [call.message for call in self._open.values()]

    def close(self, call_id: str) -> str | None:
        """Close an open call and return the id of its reply; None if it is not open."""
        call = self._open.pop(call_id, None)
        if call is None:
            return None
        self._closed.add(call_id)
        return call.reply_id

    def postpone(self, earliest: float) -> None:
        """Let no open call time out before this."""
        self._open = {
            call_id: replace(call, deadline=max(call.deadline, earliest))
            for call_id, call in self._open.items()
        }

    def was_closed(self, call_id: str) -> bool:
        """Whether this call was open once."""
        return call_id in self._closed

    def awaits(self, reply_id: str) -> bool:
        """Whether calls of this reply are still open."""
        return any(call.reply_id == reply_id for call in self._open.values())

    def of(self, reply_id: str) -> list[str]:
        """Return the open calls of a reply, oldest first."""
        return [k for k, call in self._open.items() if call.reply_id == reply_id]

    def late(self, now: float) -> list[str]:
        """Return the calls whose time is over."""
        return [k for k, call in self._open.items() if call.deadline <= now]
