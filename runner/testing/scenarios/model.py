"""Data model of scenario files: checked and frozen; durations in float seconds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

Party = Literal["agent", "caller", "service"]


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a scenario file; `line` and `column` count from 1."""

    path: Path
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text to search for in an utterance, or a regular expression.

    Letter case, runs of white space and typographic quotes make no difference.
    """

    text: str  # as the file has it, slashes included
    regex: re.Pattern[str]

    def matches(self, said: str) -> bool:
        """True if it is found in an utterance."""
        return self.regex.search(plain(said)) is not None

    def __str__(self) -> str:
        return self.text


def read_pattern(text: str) -> Pattern:
    """Reads `/a regular expression/` or words.

    Raises:
        re.error: the expression is none.
    """
    is_regex = len(text) > 1 and text.startswith("/") and text.endswith("/")
    source = text[1:-1] if is_regex else re.escape(plain(text))
    return Pattern(text, re.compile(source, re.IGNORECASE))


def plain(text: str) -> str:
    """Returns a text as it is compared."""
    straight = text.translate(_STRAIGHT)
    return " ".join(straight.split())


_STRAIGHT = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2026: "..."}


@dataclass(frozen=True, slots=True)
class MockAnswer:
    """One thing that a tool answers instead of running.

    Exactly one of `returns` (any JSON) and `raises` counts: `raises` is a message,
    None where the tool returns. `times` None: for ever. `match` lists the arguments
    that must be equal for it to apply.
    """

    returns: Any = None
    raises: str | None = None
    delay: float = 0.0
    times: int | None = None
    match: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LlmRule:
    """A rule of the scripted service, in place of a language model.

    It applies when the caller's words match `user_says`, or after a result of the tool
    `after`; with neither it is a step of a script: used once, in order. It says `says`
    (`${key}` stands for a key of the last result) and then asks for the calls.
    """

    user_says: tuple[Pattern, ...] = ()
    after: str | None = None
    says: str | None = None
    tool_calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()


@dataclass(frozen=True, slots=True)
class AgentTurn:
    """The agent says something: one of the patterns, none of `never`."""

    place: Place
    says: tuple[Pattern, ...] = ()
    never: tuple[Pattern, ...] = ()
    within: float | None = (
        None  # from the end of the caller's audio to the first of the agent
    )
    judge: str | None = None


@dataclass(frozen=True, slots=True)
class UserTurn:
    """The caller speaks: when the agent has finished, or interrupts it."""

    place: Place
    says: str
    interrupts_after: float | None = None  # of the agent's audio


@dataclass(frozen=True, slots=True)
class ToolCallTurn:
    """A tool is called; `arguments` are equal, `matching` is a JSON Schema."""

    place: Place
    tool: str
    arguments: Mapping[str, Any] | None = None
    matching: Mapping[str, Any] | None = None
    within: float | None = None
    fails: bool | None = None  # True: the call must end in an error


@dataclass(frozen=True, slots=True)
class ExpectTurn:
    """Conditions at this point of the call; None and empty: not checked.

    `tool_calls` are those since the caller's last utterance: an empty tuple for none,
    else the tools in their order.
    """

    place: Place
    silence_within: float | None = None  # after the last interruption
    latency_within: float | None = None  # the longest wait so far
    tool_calls: tuple[str, ...] | None = None
    any_order: bool = False
    interruptions: int | None = None
    resumed: bool | None = None
    nothing_dropped: bool = False
    no_errors: bool = False
    never_says: tuple[Pattern, ...] = ()
    judge: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionTurn:
    """The connection is cut, and new ones fail for `drops` seconds."""

    place: Place
    drops: float


@dataclass(frozen=True, slots=True)
class WaitTurn:
    """The caller is silent for this many seconds."""

    place: Place
    seconds: float


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The call ends; `by` None: by any side."""

    place: Place
    by: Party | None = None
    within: float | None = None


Turn: TypeAlias = (
    AgentTurn
    | UserTurn
    | ToolCallTurn
    | ExpectTurn
    | ConnectionTurn
    | WaitTurn
    | EndTurn
)


def scenario_id(name: str, parameters: Mapping[str, Any]) -> str:
    """Returns the id of a scenario in reports: its name, and its parameters."""
    if not parameters:
        return name
    values = ", ".join(f"{key}={value}" for key, value in parameters.items())
    return f"{name} [{values}]"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One call to run; parameters are already filled in.

    `mock` has the answers of each mocked tool, in order; None lets the tool run for
    real where only mocked ones would (an HTTP tool on the scripted service).
    """

    name: str
    place: Place
    agent: Path
    turns: tuple[Turn, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    mock: Mapping[str, tuple[MockAnswer, ...] | None] = field(default_factory=dict)
    llm: tuple[LlmRule, ...] = ()
    faults: tuple[str, ...] = ()
    seed: int = 0
    services: tuple[str, ...] = ()  # where it makes sense; empty: everywhere
    tags: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The id in reports: the name with the parameters."""
        return scenario_id(self.name, self.parameters)


@dataclass(frozen=True, slots=True)
class Suite:
    """One scenario file."""

    path: Path
    scenarios: tuple[Scenario, ...]
