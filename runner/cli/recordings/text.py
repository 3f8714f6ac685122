"""Texts for the parts of a timeline, shared by the terminal and HTML reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runner.errors import counted
from runner.observers.timeline import Drop, Interruption, Losses, TimeLine, ToolRun
from runner.recording.reader import Recording

_BY = {
    "voice": "by the caller's voice",
    "text": "by the caller's text",
    "service": "by the service",
}
_STATES = {
    "done": "ran",
    "failed": "failed",
    "cancelled": "cancelled",
    "running": "never ended",
    "refused": "never ran",
}


def clock(seconds: float, digits: int = 1) -> str:
    """Returns a time of the call, such as 0:07.5, 12:07.5 or 1:02:07.5."""
    units = 10**digits
    ticks = round(max(0.0, seconds) * units)
    whole, rest = divmod(ticks, units)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
    return f"{text}.{rest:0{digits}}" if digits else text


def duration(seconds: float) -> str:
    """Returns a duration, such as 10 ms, 0.86 s, 24.9 s or 12 min 7 s."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours} h {minute} min" if hours else f"{minute} min {rest} s"


def describe_end(recording: Recording, line: TimeLine) -> str:
    """Returns the end of a call, and defects of its recording."""
    parts = []
    if line.ending is not None:
        outcome = "" if line.ending.outcome == "clean" else f" ({line.ending.outcome})"
        parts.append(line.ending.reason + outcome)
    if recording.stopped is not None:
        parts.append(f"recording stopped: {recording.stopped}")
    elif not recording.is_complete:
        parts.append("the recording was cut short")
    elif line.ending is None:
        parts.append("the recording ends before the call did")
    if recording.skipped:
        parts.append(f"{counted(recording.skipped, 'line')} could not be read")
    return "; ".join(parts)


def describe_call(run: ToolRun) -> str:
    """Returns a tool call in the form name(argument=value)."""
    return f"{run.name}({_arguments(run.arguments)})"


def describe_outcome(run: ToolRun) -> str:
    """Returns the outcome of a tool call, such as `ran in 0.52 s`."""
    state = _STATES[run.state]
    if run.seconds is None:
        return state
    joint = "after" if run.state in ("failed", "cancelled") else "in"
    return f"{state} {joint} {duration(run.seconds)}"


def compact(value: Any) -> str:
    """Returns a JSON value on one line; a string unchanged."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def describe_interruption(each: Interruption) -> str:
    """Returns the cause of an interruption, its delay and the audio dropped."""
    text = f"interrupted {_BY[each.by]}, silent after {duration(each.seconds)}"
    if each.heard is not None:
        whole = duration(each.heard + each.cut)
        return f"{text}, heard {duration(each.heard)} of {whole}"
    return text + (f", {duration(each.cut)} of audio dropped" if each.cut else "")


def describe_drop(drop: Drop) -> str:
    """Returns a lost connection and its restoration."""
    if drop.until is None:
        return f"{drop.reason}; not restored"
    how = "resumed" if drop.resumed else "a fresh session"
    return f"{drop.reason}; {how} after {duration(drop.until - drop.at)}"


def describe_latencies(line: TimeLine) -> str:
    """Returns the latencies in one line."""
    middle = line.median_latency
    if middle is None:
        return "no answers"
    longest = max(each.seconds for each in line.latencies)
    answers = counted(len(line.latencies), "answer")
    figures = f"{middle:.2f} s (median), {longest:.2f} s (longest)"
    return f"{answers}, first audio after {figures}"


def describe_tools(line: TimeLine) -> str:
    """Returns the number of tool calls, and of each outcome other than success."""
    parts = [counted(len(line.tools), "tool call")]
    for state, text in _STATES.items():
        number = sum(run.state == state for run in line.tools)
        if number and state != "done":
            parts.append(f"{number} {text}")
    return ", ".join(parts)


def describe_losses(losses: Losses) -> list[str]:
    """Returns one phrase for each kind of loss."""
    seconds = [
        (losses.microphone_unsent, "of microphone audio not sent"),
        (losses.agent_ignored, "of agent audio received and not played"),
        (losses.agent_cleared, "of agent audio discarded before playback"),
    ]
    counts = [
        (losses.messages_unsent, "lost with the connection"),
        (losses.messages_garbled, "malformed"),
        (losses.messages_unknown, "unknown to this version"),
    ]
    return [f"{duration(each)} {text}" for each, text in seconds if each >= 0.0005] + [
        f"{counted(each, 'message')} {text}" for each, text in counts if each
    ]


def _arguments(arguments: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}"
        for name, value in arguments.items()
    )
