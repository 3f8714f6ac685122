"""Results of scenarios as values, for all reports.

Times are on the clock of the call: on the scripted service all runs give equal results.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import sqrt
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import point_out, printable
from runner.config.lint.discovery import shown_path
from runner.errors import VagentError

if TYPE_CHECKING:
    from runner.testing.scenarios.model import Party, Place, Scenario


class Status(Enum):
    """The outcome of a scenario."""

    PASSED = "passed"
    FAILED = "failed"  # the agent did not do what was expected
    ERROR = "error"  # it could not be run: a file, a tool, the service
    SKIPPED = "skipped"  # the service cannot do what it needs


@dataclass(frozen=True, slots=True)
class Failure:
    """The first expectation that was not met, and the actual event."""

    place: Place
    expected: str
    came: str


@dataclass(frozen=True, slots=True)
class CallSeen:
    """One tool call; `seconds` is None where it did not end, `result` JSON text.

    `after` is the number of utterances that came before it; None: all.
    """

    tool: str
    arguments: Mapping[str, Any]
    result: str | None = None
    is_error: bool = False
    seconds: float | None = None
    after: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """One run of one scenario.

    `said` is the conversation, `waits` the agent's latencies, `seconds` the length of
    the call; `left_out` lists what the service does not support. `recording` is the
    folder of the recording, if there is one.
    """

    scenario: Scenario
    service: str
    status: Status
    failure: Failure | None = None
    error: str | None = None  # of ERROR and SKIPPED: why
    hint: str | None = None  # of FAILED: what to do, if the service is the cause
    said: Sequence[tuple[str, str]] = ()  # (caller | agent, text)
    calls: Sequence[CallSeen] = ()
    waits: Sequence[float] = ()
    interruptions: int = 0
    seconds: float = 0.0
    left_out: Sequence[str] = ()
    recording: Path | None = None
    run: int = 0  # of --repeat, from 0
    verdicts: Sequence[str] = ()  # of judges
    interrupted: Sequence[str] = ()  # greeting, reply, tool
    ended_by: Party | None = None
    seed: int = 0  # of faults and other random choices

    @property
    def has_failed(self) -> bool:
        """True if it failed or could not be run."""
        return self.status in (Status.FAILED, Status.ERROR)


@dataclass(frozen=True, slots=True)
class AgentCoverage:
    """The parts of an agent that scenarios used: each name with its count."""

    agent: Path
    tools: Mapping[str, int]
    variables: Mapping[str, int]  # set to something else than the default
    interruptions: Mapping[str, int]  # greeting, reply, tool
    ends: Mapping[str, int]  # agent, caller, service

    @property
    def parts(self) -> Mapping[str, Mapping[str, int]]:
        """All counts by kind."""
        return {
            "tools": self.tools,
            "variables": self.variables,
            "interruptions": self.interruptions,
            "ends": self.ends,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All results of one `vagent test`, in the order of the files.

    `root` is the folder for relative paths. `coverage` is empty unless requested.
    """

    results: Sequence[ScenarioResult] = ()
    root: Path = field(default_factory=Path)
    coverage: Sequence[AgentCoverage] = ()

    def count(self, status: Status) -> int:
        """Returns the number of results with a status."""
        return sum(each.status is status for each in self.results)

    @property
    def failed(self) -> Sequence[ScenarioResult]:
        """The results that failed or could not be run."""
        return [each for each in self.results if each.has_failed]

    @property
    def exit_code(self) -> int:
        """0 if all passed, 1 for failures, 3 for scenarios that could not be run."""
        if self.count(Status.FAILED):
            return 1
        return 3 if self.count(Status.ERROR) else 0


# Coverage: the parts of each agent that its scenarios use.


_INTERRUPTIONS = ("greeting", "reply", "tool")
_ENDS = ("agent", "caller", "service")


def measure(
    results: Sequence[ScenarioResult], environment: Mapping[str, str]
) -> list[AgentCoverage]:
    """Returns the coverage of each agent file that the results are about."""
    by_agent: dict[str, list[ScenarioResult]] = {}
    for result in results:
        by_agent.setdefault(os.path.realpath(result.scenario.agent), []).append(result)
    return [_measure(each, environment) for each in by_agent.values()]


def _measure(
    results: Sequence[ScenarioResult], environment: Mapping[str, str]
) -> AgentCoverage:
    agent = results[0].scenario.agent
    given = {k: v for each in results for k, v in each.scenario.variables.items()}
    tools, defaults = _known(agent, given, environment)
    variables: dict[str, set[str]] = {name: set() for name in defaults}
    interruptions = dict.fromkeys(_INTERRUPTIONS, 0)
    ends = dict.fromkeys(_ENDS, 0)
    for result in results:
        for call in result.calls:
            tools[call.tool] = tools.get(call.tool, 0) + 1
        for name, value in result.scenario.variables.items():
            if value != defaults.get(name):
                variables.setdefault(name, set()).add(value)
        for what in result.interrupted:
            interruptions[what] += 1
        if result.ended_by is not None:
            ends[result.ended_by] += 1
    counts = {name: len(values) for name, values in variables.items()}
    return AgentCoverage(agent, tools, counts, interruptions, ends)


def _known(
    agent: Path, given: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[dict[str, int], dict[str, str | None]]:
    """Returns the agent's tools, and its variables with their defaults.

    Both are empty if the file cannot be loaded.
    """
    # A report without coverage loads no engine and no tools.
    from runner.testing.mocks import kinds, load_test_agent
    from runner.testing.scenarios.drafts import read_agent
    from runner.tools.registry import load_each

    declared = read_agent(agent).variables or {}
    needed = {k: v for k, v in given.items() if declared.get(k) is False}
    try:
        config = load_test_agent(agent, needed, environment, stand_ins=True)
    except VagentError:
        return {}, {}
    loaded = load_each(config, kinds())
    names = [
        each.definition.name for each in loaded if not isinstance(each, VagentError)
    ]
    defaults = {
        name: value if declared.get(name) else None
        for name, value in config.variables.items()
    }
    return dict.fromkeys(names, 0), defaults


# Pass rates of repeated scenarios.


_Z = 1.959964  # of the 95 % interval


@dataclass(frozen=True, slots=True)
class Flake:
    """The pass rate of a scenario that ran several times, without skipped runs."""

    place: Place
    scenario: str
    passed: int
    runs: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the pass rate: Wilson's score interval.

        E. B. Wilson, Probable Inference, the Law of Succession, and Statistical
        Inference, 1927. Unlike the normal approximation it is valid near 0 and 1.
        """
        share, n = self.passed / self.runs, self.runs
        scale = 1 + _Z**2 / n
        middle = (share + _Z**2 / (2 * n)) / scale
        reach = _Z / scale * sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
        return max(0.0, middle - reach), min(1.0, middle + reach)


def find_flakes(report: Report) -> Sequence[Flake]:
    """Returns the pass rate of each scenario that ran more than once."""
    runs: dict[tuple[Place, str], list[ScenarioResult]] = {}
    for result in report.results:
        if result.status is not Status.SKIPPED:
            key = (result.scenario.place, result.scenario.id)
            runs.setdefault(key, []).append(result)
    return [
        Flake(*key, sum(each.status is Status.PASSED for each in results), len(results))
        for key, results in runs.items()
        if len(results) > 1
    ]


# Select Graphic Rendition (ECMA-48, 8.3.117).
_COLORS = {Status.PASSED: "32", Status.FAILED: "1;31", Status.ERROR: "1;31"}
# Characters of a tool's result that the description of a failure shows.
_MAX_RESULT_CHARACTERS = 200


def describe_failure(
    result: ScenarioResult, root: PurePath | None = None, *, color: bool = False
) -> str:
    """Returns a description of a failure, with the conversation up to it."""
    root = root or Path.cwd()
    return "\n".join(_describe(result, root, color=color))


def _describe(result: ScenarioResult, root: PurePath, *, color: bool) -> Iterator[str]:
    scenario, failure = result.scenario, result.failure
    place = failure.place if failure else scenario.place
    path = shown_path(place.path, root)
    word = result.status.value
    if color:
        word = f"\x1b[{_COLORS.get(result.status, '33')}m{word}\x1b[0m"
    again = f" (run {result.run + 1}, seed {result.seed})" if result.run else ""
    yield f"{path}:{place.line}:{place.column}: {word}: {printable(scenario.id)}{again}"
    yield from _source_line(place.path, place.line, place.column)
    if failure is not None:
        yield f"  expected: {printable(failure.expected)}"
        yield f"  actual:   {printable(failure.came)}"
    for line in (result.error or "").splitlines():
        yield f"  {printable(line)}"
    if result.hint:
        yield f"  hint: {result.hint}"
    if result.said or result.calls:
        yield "  the call so far:"
        yield from (f"    {line}" for line in _conversation(result))
    if result.recording is not None:
        yield f"  recorded: vagent show {shown_path(result.recording, root)}"


def _conversation(result: ScenarioResult) -> Iterator[str]:
    """Yields utterances and tool calls in the order in which they began."""
    calls = list(result.calls)
    for number, (speaker, text) in enumerate(result.said):
        while calls and calls[0].after is not None and calls[0].after <= number:
            yield _call(calls.pop(0))
        yield f"{speaker}: {printable(text)}"
    yield from map(_call, calls)


def _source_line(path: Path, line: int, column: int) -> Iterator[str]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return
    if line <= len(lines):
        shown, caret = point_out(lines[line - 1], column)
        yield f"  {line} | {shown}"
        yield f"  {' ' * len(str(line))} | {caret}"


def _call(call: CallSeen) -> str:
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
    came = call.result or "no result"
    if len(came) > _MAX_RESULT_CHARACTERS:
        came = came[:_MAX_RESULT_CHARACTERS] + "…"
    took = "" if call.seconds is None else f" after {call.seconds:g} s"
    failed = "failed: " if call.is_error else ""
    return f"{call.tool}({printable(arguments)}) → {failed}{printable(came)}{took}"
