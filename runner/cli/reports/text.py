"""Results as text: findings with source lines, and scenario failures."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from runner.config.diagnostics import headline, printable, render
from runner.config.lint.discovery import shown_path

if TYPE_CHECKING:
    from runner.config.lint.results import Results
    from runner.testing.results import AgentCoverage, Flake, Report

# `validate` writes findings, too: it does not load what results of scenarios need.


def write_scenario_text(report: Report) -> str:
    """Returns failures, then flaky scenarios, skipped parts and coverage."""
    return _write(report, color=False)


def write_colored_scenario_text(report: Report) -> str:
    """Returns the same in color."""
    return _write(report, color=True)


def _write(report: Report, *, color: bool) -> str:
    from runner.testing.results import describe_failure

    blocks = [
        describe_failure(each, report.root, color=color) for each in report.failed
    ]
    return "".join(f"{block}\n\n" for block in [*blocks, *describe_rest(report)])


def describe_rest(report: Report) -> list[str]:
    """Returns the parts of a report other than failures."""
    blocks = [_describe_flakes(report), _describe_left_out(report)]
    blocks += [_describe_coverage(each, report.root) for each in report.coverage]
    return [each for each in blocks if each]


def _describe_flakes(report: Report) -> str:
    """Returns a line for each flaky scenario, and one for all others."""
    from runner.testing.results import find_flakes

    flakes = find_flakes(report)
    steady = [flake for flake in flakes if flake.passed == flake.runs]
    lines = [
        f"{_share(flake)}: {shown_path(flake.place.path, report.root)}: "
        f"{printable(flake.scenario)}"
        for flake in flakes
        if flake not in steady or len(steady) == 1
    ]
    for runs in sorted({flake.runs for flake in steady}):
        alike = [flake for flake in steady if flake.runs == runs]
        if len(steady) > 1:
            lines.append(f"{_share(alike[0])}: each of {len(alike)} scenarios")
    return "\n".join(lines)


def _share(flake: Flake) -> str:
    low, high = flake.interval
    share = f"{flake.passed} of {flake.runs} passed"
    return f"{share} ({low:.0%} to {high:.0%} with 95 % certainty)"


def _describe_left_out(report: Report) -> str:
    from runner.testing.results import Status

    counts: dict[str, int] = {}
    for result in report.results:
        reasons = list(result.left_out)
        if result.status is Status.SKIPPED:
            reasons.append(f"skipped: {result.error}")
        for reason in reasons:
            counts[reason] = counts.get(reason, 0) + 1
    lines = [
        f"left out {count}×: {printable(reason)}" for reason, count in counts.items()
    ]
    return "\n".join(lines)


def _describe_coverage(coverage: AgentCoverage, root: PurePath) -> str:
    lines = [f"{shown_path(coverage.agent, root)}:"]
    for what, counts in coverage.parts.items():
        tried = [f"{name} {count}×" for name, count in counts.items() if count]
        never = [name for name, count in counts.items() if not count]
        if tried:
            lines.append(f"  {what}: {', '.join(tried)}")
        if never:
            lines.append(f"  {what} never exercised: {', '.join(never)}")
    return "\n".join(lines)


def write_text(results: Results) -> str:
    """Returns each finding with its source line, a caret range and help."""
    return render(results.findings)


def write_colored_text(results: Results) -> str:
    """Returns the same in color."""
    return render(results.findings, color=True)


def write_concise(results: Results) -> str:
    """Returns one line a finding: `path:line:column: severity: message [rule]`."""
    return "".join(f"{headline(each)}\n" for each in results.findings)


def write_colored_concise(results: Results) -> str:
    """Returns the same in color."""
    return "".join(f"{headline(each, color=True)}\n" for each in results.findings)
