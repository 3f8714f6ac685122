"""Rules VA201 to VA212, VA299 and VA310 to VA312: schema and durations.

The findings of the schema rules are made by `runner.config.schema_errors`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding
from runner.config.durations import parse_duration
from runner.config.lint.context import documented, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer


WRONG_TYPE = documented(
    "VA201",
    "wrong-type",
    """A value has the wrong type.

    YAML decides by the spelling: `5` is a number and `"5"` a text, `[a]` a list and `a`
    a text.

    Bad:
        greeting: 24

    Good:
        greeting: "24"
    """,
)

OUT_OF_RANGE = documented(
    "VA202",
    "out-of-range",
    """A number is out of the range of its field.

    The service refuses the value, and the call fails.

    Bad:
        turn_detection: {vad_threshold: 1.5}

    Good:
        turn_detection: {vad_threshold: 0.5}
    """,
)

UNKNOWN_KEY = documented(
    "VA203",
    "unknown-key",
    """A key is not known at this place in an agent file.

    It would be silently ignored: an agent with a misspelled `prompt` has no prompt.

    Bad:
        greetings: Hello.

    Good:
        greeting: Hello.
    """,
)

MISSING_KEY = documented(
    "VA204",
    "missing-key",
    """A required key is missing.

    An agent has a version, a name and a prompt; an HTTP tool has an address, a name and
    a description.

    Bad:
        tools:
          - http: {url: "https://api.example.com/look"}

    Good:
        tools:
          - name: look
            description: Look something up.
            http: {url: "https://api.example.com/look"}
    """,
)

NOT_A_CHOICE = documented(
    "VA205",
    "not-a-choice",
    """A value is not one of the choices of its field.



    Bad:
        transcription: {mode: fast}

    Good:
        transcription: {mode: min_latency}
    """,
)

WRONG_FORM = documented(
    "VA206",
    "wrong-form",
    """A text does not have the format that its field requires.

    Names, addresses, durations and references each have one format.

    Bad:
        session: {max_duration: half an hour}

    Good:
        session: {max_duration: 30m}
    """,
)

WRONG_LENGTH = documented(
    "VA207",
    "wrong-length",
    """A text or a list is empty or too long.



    Bad:
        greeting: ""

    Good:
        greeting: Hello.
    """,
)

REPEATED_ITEM = documented(
    "VA208",
    "repeated-item",
    """A list contains the same item twice.



    Bad:
        languages: [en, es, en]

    Good:
        languages: [en, es]
    """,
)

TOOL_WITHOUT_KIND = documented(
    "VA210",
    "tool-without-kind",
    """A tool has no kind, or an agent has no prompt.

    A tool has `python`, `http`, `plugin` or the key of an installed kind; an agent has
    `prompt` or `prompt_file`.

    Bad:
        tools:
          - name: look
            description: Look something up.
            timeout: 5s

    Good:
        tools:
          - name: look
            description: Look something up.
            http: {url: "https://api.example.com/look"}
    """,
)

TWO_KINDS = documented(
    "VA211",
    "two-kinds",
    """Two keys exclude each other.

    A tool is of one kind, and an agent has one prompt.

    Bad:
        tools:
          - name: look
            description: Look something up.
            python: tools/shop.py:lookup
            http: {url: "https://api.example.com/look"}

    Good:
        tools:
          - name: look
            description: Look something up.
            http: {url: "https://api.example.com/look"}
    """,
)

LATER_VERSION = documented(
    "VA212",
    "later-version",
    """The file has a later version than this vagent supports.

    The changes of that version are not known, so the rest of the file is not checked.

    Bad:
        version: 2
        name: shop
        prompt: Be brief.

    Good:
        version: 1
        name: shop
        prompt: Be brief.
        session: {max_duration: 30m}
    """,
)

NOT_ALLOWED = documented(
    "VA299",
    "not-allowed",
    """A value is not valid for an installed kind of tool.

    The schema of that kind rejects it for a reason without a rule of its own.

    Bad:
        tools:
          - plugin: {name: 5}

    Good:
        tools:
          - plugin: end_call
    """,
)


# Rules VA209 and VA310 to VA312: durations.


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
    """A duration is out of the range of its field.

    The service refuses the configuration, and the call fails.

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
            yield Finding(inspection.value(path), message, invalidates=path)


@rule("VA310", "silences-swapped")
def silences_swapped(inspection: RuleContext) -> Iterator[Finding]:
    """`min_silence` is not shorter than `max_silence`.

    A turn that seems finished ends after `min_silence`, any other after `max_silence`;
    the service refuses swapped values.

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
        help_ = "make `min_silence` shorter, or `max_silence` longer"
        yield Finding(
            inspection.value(("turn_detection", "min_silence")), message, help_
        )


@rule("VA311", "idle-times")
def idle_times(inspection: RuleContext) -> Iterator[Finding]:
    """The settings for a silent caller contradict each other.

    `nudge_after` must be shorter than `end_after`, and `say` requires `nudge_after`.

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
        if say is not None and inspection.is_valid((*idle, "nudge_after")):
            message = "`say` is never spoken without `nudge_after`"
            help_ = "add `nudge_after: 20s`, or remove `say`"
            yield Finding(inspection.key((*idle, "say")), message, help_)
    elif end is not None and parse_duration(end) <= parse_duration(nudge):
        message = f"`end_after` is {end}; it must be more than `nudge_after`, {nudge}"
        help_ = "both times start when the caller and the agent fall silent"
        yield Finding(inspection.value((*idle, "end_after")), message, help_)


@rule("VA312", "last-minute")
def last_minute(inspection: RuleContext) -> Iterator[Finding]:
    """`one_minute_left` is set, but the call has no such minute.

    `one_minute_left` is spoken one minute before `max_duration` ends.

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
        if inspection.is_valid(limit):
            message = "`one_minute_left` is never spoken without `max_duration`"
            help_ = "add `max_duration: 30m`, or remove it"
            yield Finding(inspection.key(line), message, help_)
    elif parse_duration(text) <= _MINUTE:
        message = f"`max_duration` is {text}, too short for `one_minute_left`"
        help_ = "make it longer than a minute, or remove `one_minute_left`"
        yield Finding(inspection.value(limit), message, help_)
