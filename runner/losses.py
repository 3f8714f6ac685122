"""A call's counters in words: what was lost, or everything."""

from __future__ import annotations

from runner.counters import Counters
from runner.errors import counted


def format_losses(counters: Counters) -> list[str]:
    """Return what is not as it should be, a part each; nothing of a call without."""
    c = counters
    parts: list[str] = []
    if c.connection_drops:
        lost = f"{c.connection_lost_seconds:.1f} s"
        text = f"connection lost {_times(c.connection_drops)} for {lost}"
        if c.microphone_unsent_seconds:
            text += f", with {c.microphone_unsent_seconds:.1f} s of the microphone"
        parts.append(text)
    unsent = c.microphone_dropped_seconds + c.outbox_dropped_seconds
    if unsent:
        parts.append(f"{unsent:.2f} s of the microphone dropped")
    if c.messages_malformed:
        parts.append(f"{counted(c.messages_malformed, 'message')} malformed")
    if c.playback_dropped_seconds:
        parts.append(f"{c.playback_dropped_seconds:.1f} s of the agent's audio dropped")
    if c.playback_underruns:
        parts.append(counted(c.playback_underruns, "gap") + " in the agent's audio")
    if c.tool_calls_late:
        parts.append(counted(c.tool_calls_late, "tool result") + " too late")
    if c.threads_hung:
        parts.append(f"{counted(c.threads_hung, 'tool')} still running")
    if c.replies_retried:
        replies = counted(c.replies_retried, "reply", "replies")
        parts.append(f"{replies} requested again")
    return parts


def describe_all(counters: Counters) -> str:
    """Return every counter with its name, as `--json` has them."""
    return ", ".join(f"{name} {value:g}" for name, value in counters.as_dict().items())


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
