"""Results for people: each failure with its turn, what was expected and what came."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from runner.cli.reports.common import shown_path
from runner.config.diagnostics import headline, point_out, printable, render
from runner.testing.results import (
    AgentCoverage,
    CallSeen,
    Flake,
    Report,
    ScenarioResult,
    Status,
    find_flakes,
)

if TYPE_CHECKING:
    from runner.config.lint.results import Results


# Select Graphic Rendition (ECMA-48, 8.3.117).
_COLOURS = {Status.PASSED: "32", Status.FAILED: "1;31", Status.ERROR: "1;31"}
_SHOWN_RESULT = 200  # characters of a tool's result


def write_scenario_text(report: Report) -> str:
    """Write what did not pass, then what was left out, repeated and covered."""
    return _write(report, colour=False)


def write_colored_scenario_text(report: Report) -> str:
    """Write the same in colour."""
    return _write(report, colour=True)


def _write(report: Report, *, colour: bool) -> str:
    blocks = [
        describe_failure(each, report.root, colour=colour) for each in report.failed
    ]
    return "".join(f"{block}\n\n" for block in [*blocks, *describe_rest(report)])


def describe_rest(report: Report) -> list[str]:
    """Return what a report says besides failures: left out, repeated, covered."""
    blocks = [_describe_flakes(report), _describe_left_out(report)]
    blocks += [_describe_coverage(each, report.root) for each in report.coverage]
    return [each for each in blocks if each]


def describe_failure(
    result: ScenarioResult, root: PurePath | None = None, *, colour: bool = False
) -> str:
    """Return why a scenario did not pass, with the conversation up to there."""
    root = root or Path.cwd()
    return "\n".join(_describe(result, root, colour=colour))


def _describe(result: ScenarioResult, root: PurePath, *, colour: bool) -> Iterator[str]:
    scenario, failure = result.scenario, result.failure
    place = failure.place if failure else scenario.place
    path = shown_path(place.path, root)
    word = result.status.value
    if colour:
        word = f"\x1b[{_COLOURS.get(result.status, '33')}m{word}\x1b[0m"
    again = f" (run {result.run + 1}, seed {result.seed})" if result.run else ""
    yield f"{path}:{place.line}:{place.column}: {word}: {printable(scenario.id)}{again}"
    yield from _source_line(place.path, place.line, place.column)
    if failure is not None:
        yield f"  expected: {printable(failure.expected)}"
        yield f"  actual:   {printable(failure.came)}"
    for line in (result.error or "").splitlines():
        yield f"  {printable(line)}"
    if result.said or result.calls:
        yield "  the call so far:"
        yield from (
            f"    {speaker}: {printable(text)}" for speaker, text in result.said
        )
        yield from (f"    {_call(each)}" for each in result.calls)
    if result.recording is not None:
        yield f"  recorded: vagent show {shown_path(result.recording, root)}"


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
    if len(came) > _SHOWN_RESULT:
        came = came[:_SHOWN_RESULT] + "…"
    took = "" if call.seconds is None else f" after {call.seconds:g} s"
    failed = "failed: " if call.is_error else ""
    return f"{call.tool}({printable(arguments)}) → {failed}{printable(came)}{took}"


def _describe_flakes(report: Report) -> str:
    """Return a line for each scenario that failed at times, and one for the rest."""
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
    counts: dict[str, int] = {}
    for result in report.results:
        words = list(result.left_out)
        if result.status is Status.SKIPPED:
            words.append(f"skipped: {result.error}")
        for word in words:
            counts[word] = counts.get(word, 0) + 1
    lines = [f"left out {count}×: {printable(word)}" for word, count in counts.items()]
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


# Findings as text for people, with the source lines or a line each.


def write_text(results: Results) -> str:
    """Write each finding with its source line, a caret range and help."""
    return render(results.findings)


def write_colored_text(results: Results) -> str:
    """Write the same for a terminal that has colours."""
    return render(results.findings, colour=True)


def write_concise(results: Results) -> str:
    """Write each finding as one line: `path:line:column: severity: message [rule]`."""
    return "".join(f"{headline(each)}\n" for each in results.findings)


def write_colored_concise(results: Results) -> str:
    """Write the same for a terminal that has colours."""
    return "".join(f"{headline(each, colour=True)}\n" for each in results.findings)
