"""Rules VA209 and VA310 to VA312: durations, and the times of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding
from runner.config.durations import parse_duration
from runner.config.rules.rule import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer

# From the service: silences 50 ms to 10 s, interruption_delay 0 to 1 s, a tool's time
# up to 300 s, a session up to three hours.
_SILENCE = ("50ms", "10s")
_RANGES: dict[Pointer, tuple[str, str]] = {
    ("turn_detection", "min_silence"): _SILENCE,
    ("turn_detection", "max_silence"): _SILENCE,
    ("turn_detection", "interruption_delay"): ("0ms", "1s"),
    ("session", "max_duration"): ("1s", "180m"),
    ("session", "idle", "nudge_after"): ("1s", "10m"),
    ("session", "idle", "end_after"): ("1s", "60m"),
}
_TIMEOUT = ("1ms", "300s")
_MINUTE = 60.0


@rule("VA209", "duration-out-of-range")
def duration_out_of_range(inspection: RuleContext) -> Iterator[Finding]:
    """A duration is shorter or longer than its field takes.

    The service refuses such a configuration, and with it the call.

    Bad:
        turn_detection: {min_silence: 20ms}

    Good:
        turn_detection: {min_silence: 600ms}
    """
    ranges = dict(_RANGES)
    for tool in inspection.tools():
        ranges[(*tool, "timeout")] = _TIMEOUT
    for path, (low, high) in ranges.items():
        text = inspection.get(path, str)
        if text is None:
            continue
        if not parse_duration(low) <= parse_duration(text) <= parse_duration(high):
            message = f"`{path[-1]}` is {text}; it goes from {low} to {high}"
            yield Finding(inspection.value(path), message, spoils=path)


@rule("VA310", "silences-swapped")
def silences_swapped(inspection: RuleContext) -> Iterator[Finding]:
    """`min_silence` is not shorter than `max_silence`.

    A turn that sounds finished ends after `min_silence`, any other after `max_silence`;
    the service refuses the two the other way round.

    Bad:
        turn_detection: {min_silence: 2s, max_silence: 1s}

    Good:
        turn_detection: {max_silence: 4s}
    """
    low = inspection.get(("turn_detection", "min_silence"), str)
    high = inspection.get(("turn_detection", "max_silence"), str)
    if low is None or high is None:
        return
    if parse_duration(low) >= parse_duration(high):
        message = f"`min_silence` is {low}; it must be less than `max_silence`, {high}"
        help_ = "a turn ends after min_silence when it sounds finished, else later"
        yield Finding(
            inspection.value(("turn_detection", "min_silence")), message, help_
        )


@rule("VA311", "idle-times")
def idle_times(inspection: RuleContext) -> Iterator[Finding]:
    """What is done about a quiet caller does not fit together.

    The nudge comes before the end, and words for it need a time.

    Bad:
        session: {idle: {nudge_after: 60s, end_after: 20s}}

    Good:
        session: {idle: {nudge_after: 20s, end_after: 60s}}
    """
    idle: Pointer = ("session", "idle")
    say = inspection.get((*idle, "say"), str)
    nudge = inspection.get((*idle, "nudge_after"), str)
    end = inspection.get((*idle, "end_after"), str)
    if nudge is None:
        if say is not None and inspection.is_sound((*idle, "nudge_after")):
            message = "`say` is never said without `nudge_after`"
            help_ = "add `nudge_after: 20s`, or take `say` away"
            yield Finding(inspection.key((*idle, "say")), message, help_)
    elif end is not None and parse_duration(end) <= parse_duration(nudge):
        message = f"`end_after` is {end}; it must be more than `nudge_after`, {nudge}"
        help_ = "both are counted from the last word on either side"
        yield Finding(inspection.value((*idle, "end_after")), message, help_)


@rule("VA312", "last-minute")
def last_minute(inspection: RuleContext) -> Iterator[Finding]:
    """The last minute of a call is announced, but the call has none.

    `one_minute_left` is said a minute before `max_duration` is over.

    Bad:
        session: {one_minute_left: We have about a minute left.}

    Good:
        session: {max_duration: 30m, one_minute_left: We have about a minute left.}
    """
    line: Pointer = ("session", "one_minute_left")
    if inspection.get(line, str) is None:
        return
    limit: Pointer = ("session", "max_duration")
    text = inspection.get(limit, str)
    if text is None:
        if inspection.is_sound(limit):
            message = "`one_minute_left` is never said without `max_duration`"
            help_ = "add `max_duration: 30m`, or take it away"
            yield Finding(inspection.key(line), message, help_)
    elif parse_duration(text) <= _MINUTE:
        message = f"`max_duration` is {text}: a minute before its end is no time"
        help_ = "make it longer, or take `one_minute_left` away"
        yield Finding(inspection.value(limit), message, help_)
