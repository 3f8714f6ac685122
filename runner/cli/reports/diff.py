"""Two agents compared, in words: text, Markdown for a pull request, or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.config.diagnostics import printable
from runner.testing.diff import Change, DiffSegment, ScenarioChange, shorten_runs
from runner.testing.results import ScenarioResult

# What a comment on a pull request may be; GitHub's own limit is 65,536 characters.
_MARKDOWN_LIMIT = 60_000
_SHOWN = 120  # characters of a value


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that was found; `behaviour` has every scenario that was run."""

    old: str
    new: str
    sending: Sequence[Change]
    behaviour: Sequence[ScenarioChange]

    @property
    def changed(self) -> Sequence[ScenarioChange]:
        """The scenarios that come out differently."""
        return [each for each in self.behaviour if each.parts]

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not self.sending and not self.changed

    @property
    def headline(self) -> str:
        """Say it in one line."""
        if self.is_empty:
            return "nothing changes"
        parts = [f"{len(self.sending)} values change"] if self.sending else []
        if self.behaviour:
            parts.append(
                f"{len(self.changed)} of {len(self.behaviour)} scenarios come out "
                "differently"
            )
        return ", ".join(parts) or "nothing is sent differently"


def write_text(comparison: Comparison) -> str:
    """Write it for a terminal."""
    lines = [f"{comparison.old} → {comparison.new}: {comparison.headline}"]
    for change in comparison.sending:
        note = f" ({change.note})" if change.note else ""
        lines.append(f"  {change.where} {change.kind}{note}")
        lines += [f"    {line}" for line in _values(change, _plain_runs)]
    for each in comparison.changed:
        lines.append(f"  {each.name}: {', '.join(each.parts)}")
        lines += [f"    {line}" for line in _behaviour(each)]
    return "\n".join(lines) + "\n"


def write_json(comparison: Comparison) -> str:
    """Write one object; keys may be added, none goes away."""
    content = {
        "type": "vagent.diff",
        "old": comparison.old,
        "new": comparison.new,
        "config": [
            {
                "where": each.where,
                "kind": each.kind,
                "old": each.old,
                "new": each.new,
                "note": each.note,
            }
            for each in comparison.sending
        ],
        "scenarios": [
            {
                "scenario": each.name,
                "changes": list(each.parts),
                "old": _result(each.old),
                "new": _result(each.new),
            }
            for each in comparison.behaviour
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write_markdown(comparison: Comparison) -> str:
    """Write it for a pull request."""
    lines = [f"### {_cell(comparison.new)}: {comparison.headline}", ""]
    tabled = [each for each in comparison.sending if each.runs is None]
    if tabled:
        lines += ["| what | | old | new | |", "|---|---|---|---|---|"]
        for each in tabled:
            values = _show(each.old), _show(each.new)
            lines.append(_row(each.where, each.kind, *values, each.note or ""))
        lines.append("")
    for each in comparison.sending:
        if each.runs is not None:
            summary = f"<summary>{_cell(each.where)} {each.kind}</summary>"
            runs = _marked_runs(shorten_runs(each.runs, 200))
            lines += [f"<details>{summary}", "", runs, "", "</details>", ""]
    if comparison.changed:
        lines += ["| scenario | changes | old | new |", "|---|---|---|---|"]
        for found in comparison.changed:
            told = (_told(each) for each in found.both)
            lines.append(_row(found.name, ", ".join(found.parts), *told))
    return _bounded(lines)


def _bounded(lines: Sequence[str]) -> str:
    size, kept = 0, list[str]()
    for line in lines:
        size += len(line) + 1
        if size > _MARKDOWN_LIMIT:
            kept.append("… and more than fits here: `vagent diff` shows all of it")
            break
        kept.append(line)
    return "\n".join(kept).rstrip() + "\n"


def _values(change: Change, show_runs: Any) -> Iterator[str]:
    if change.runs is not None:
        yield from show_runs(shorten_runs(change.runs)).splitlines()
        return
    if change.old is not None:
        yield f"- {_show(change.old)}"
    if change.new is not None:
        yield f"+ {_show(change.new)}"


def _plain_runs(runs: Sequence[DiffSegment]) -> str:
    marks = {"same": ("", ""), "old": ("[-", "-]"), "new": ("{+", "+}")}
    return "".join(
        f"{marks[run.kind][0]}{run.text}{marks[run.kind][1]}" for run in runs
    )


def _marked_runs(runs: Sequence[DiffSegment]) -> str:
    escaped = [DiffSegment(run.kind, _escape(run.text)) for run in runs]
    marks = {"same": ("", ""), "old": ("<del>", "</del>"), "new": ("<ins>", "</ins>")}
    return _mark(escaped, marks)


def _mark(runs: Sequence[DiffSegment], marks: Mapping[str, tuple[str, str]]) -> str:
    return "".join(run.text.join(marks[run.kind]) for run in runs)


def _behaviour(change: ScenarioChange) -> Iterator[str]:
    for sign, result in zip("-+", change.both, strict=True):
        yield f"{sign} {_told(result)}"


def _told(result: ScenarioResult) -> str:
    """Say in one line what a scenario came to."""
    parts = [result.status.value]
    if result.failure is not None:
        parts.append(
            f"expected {result.failure.expected}, actual {result.failure.came}"
        )
    if result.error is not None:
        parts.append(result.error.partition("\n")[0])
    calls = [f"{each.tool}({_show(dict(each.arguments))})" for each in result.calls]
    if calls:
        parts.append("calls " + ", ".join(calls))
    said = [text for speaker, text in result.said if speaker == "agent"]
    if said:
        parts.append(f"last words “{said[-1]}”")
    return printable("; ".join(parts))


def _result(result: ScenarioResult) -> dict[str, Any]:
    return {
        "status": result.status.value,
        "tool_calls": [[each.tool, dict(each.arguments)] for each in result.calls],
        "transcript": [[speaker, text] for speaker, text in result.said],
        "latencies": list(result.waits),
    }


def _show(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = printable(text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _row(*cells: str) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cell(text: str) -> str:
    return _escape(text).replace("|", "\\|").replace("\n", " ").replace("`", "\\`")
