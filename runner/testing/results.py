"""What came of scenarios: pure values, the same for every report.

Times are those of the call, not of the machine: on the scripted service two runs give
equal results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from runner.testing.scenarios.model import Party, Place, Scenario


class Status(Enum):
    """How a scenario ended."""

    PASSED = "passed"
    FAILED = "failed"  # the agent did not do what was expected
    ERROR = "error"  # it could not be tried: a file, a tool, the service
    SKIPPED = "skipped"  # the service cannot do what it needs


@dataclass(frozen=True, slots=True)
class Failure:
    """The first expectation that was not met, and what came instead."""

    place: Place
    expected: str
    came: str


@dataclass(frozen=True, slots=True)
class CallSeen:
    """One tool call; `seconds` is None where it did not end, `result` JSON text."""

    tool: str
    arguments: Mapping[str, Any]
    result: str | None = None
    is_error: bool = False
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """One run of one scenario.

    `said` is the conversation as it was, `waits` the agent's latencies, `seconds` how
    long the call was; `left_out` says what the service could not do. `recording` is set
    where one was kept.
    """

    scenario: Scenario
    service: str
    status: Status
    failure: Failure | None = None
    error: str | None = None  # of ERROR and SKIPPED: why
    said: Sequence[tuple[str, str]] = ()  # (caller | agent, words)
    calls: Sequence[CallSeen] = ()
    waits: Sequence[float] = ()
    interruptions: int = 0
    seconds: float = 0.0
    left_out: Sequence[str] = ()
    recording: Path | None = None
    run: int = 0  # of --repeat, from 0
    verdicts: Sequence[str] = ()  # of judges
    interrupted: Sequence[str] = ()  # what was: greeting, reply, tool
    ended_by: Party | None = None
    seed: int = 0  # what faults and the rest were drawn with

    @property
    def has_failed(self) -> bool:
        """Whether it neither passed nor was skipped."""
        return self.status in (Status.FAILED, Status.ERROR)


@dataclass(frozen=True, slots=True)
class AgentCoverage:
    """What of an agent the scenarios have exercised: each name with how often."""

    agent: Path
    tools: Mapping[str, int]
    variables: Mapping[str, int]  # set to something else than the default
    interruptions: Mapping[str, int]  # greeting, reply, tool
    ends: Mapping[str, int]  # agent, caller, service

    @property
    def parts(self) -> Mapping[str, Mapping[str, int]]:
        """All of it, by what it is about."""
        return {
            "tools": self.tools,
            "variables": self.variables,
            "interruptions": self.interruptions,
            "ends": self.ends,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All results of one `vagent test`, in the order of the files.

    `root` is the folder that paths are shown relative to. `coverage` is there where it
    was asked for.
    """

    results: Sequence[ScenarioResult] = ()
    root: Path = field(default_factory=Path)
    coverage: Sequence[AgentCoverage] = ()

    def count(self, status: Status) -> int:
        """How many ended so."""
        return sum(each.status is status for each in self.results)

    @property
    def failed(self) -> Sequence[ScenarioResult]:
        """What did not pass, and was not skipped."""
        return [each for each in self.results if each.has_failed]

    @property
    def exit_code(self) -> int:
        """0 fine, 1 something failed, 3 something could not be tried."""
        if self.count(Status.FAILED):
            return 1
        return 3 if self.count(Status.ERROR) else 0
