"""Reports of `vagent diff`: text, Markdown for a pull request, or JSON."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.config.diagnostics import printable
from runner.testing.diff import Change, DiffSegment, ScenarioChange, shorten_runs
from runner.testing.results import ScenarioResult

# The limit of GitHub for a comment is 65,536 characters.
_MAX_MARKDOWN_CHARACTERS = 60_000
_MAX_SHOWN_CHARACTERS = 120  # of a value


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences of two agents; `behavior` has every scenario that was run."""

    old: str
    new: str
    sending: Sequence[Change]
    behavior: Sequence[ScenarioChange]

    @property
    def changed(self) -> Sequence[ScenarioChange]:
        """The scenarios with different results."""
        return [each for each in self.behavior if each.parts]

    @property
    def is_empty(self) -> bool:
        """True without any difference."""
        return not self.sending and not self.changed

    @property
    def headline(self) -> str:
        """The differences in one line."""
        if self.is_empty:
            return "no differences"
        parts = [f"{len(self.sending)} values change"] if self.sending else []
        if self.behavior:
            parts.append(
                f"{len(self.changed)} of {len(self.behavior)} scenarios have "
                "different results"
            )
        return ", ".join(parts) or "no values change"


def write_text(comparison: Comparison) -> str:
    """Returns the report for a terminal."""
    lines = [f"{comparison.old} → {comparison.new}: {comparison.headline}"]
    for change in comparison.sending:
        note = f" ({change.note})" if change.note else ""
        lines.append(f"  {change.where} {change.kind}{note}")
        lines += [f"    {line}" for line in _values(change, _plain_runs)]
    for each in comparison.changed:
        lines.append(f"  {each.name}: {', '.join(each.parts)}")
        lines += [f"    {line}" for line in _behavior(each)]
    return "\n".join(lines) + "\n"


def write_json(comparison: Comparison) -> str:
    """Returns one JSON object. Keys may be added later, but not removed."""
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
            for each in comparison.behavior
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write_markdown(comparison: Comparison) -> str:
    """Returns the report as Markdown for a pull request."""
    lines = [f"### {_cell(comparison.new)}: {comparison.headline}", ""]
    table_changes = [each for each in comparison.sending if each.runs is None]
    if table_changes:
        lines += ["| value | change | old | new | note |", "|---|---|---|---|---|"]
        for each in table_changes:
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
            results = (_describe(each) for each in found.both)
            lines.append(_row(found.name, ", ".join(found.parts), *results))
    return _bounded(lines)


def _bounded(lines: Sequence[str]) -> str:
    size, kept = 0, list[str]()
    for line in lines:
        size += len(line) + 1
        if size > _MAX_MARKDOWN_CHARACTERS:
            kept.append("… cut to fit a comment; run `vagent diff` for the full report")
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
    escaped = [DiffSegment(run.kind, _escape_lines(run.text)) for run in runs]
    marks = {"same": ("", ""), "old": ("<del>", "</del>"), "new": ("<ins>", "</ins>")}
    return _INVISIBLE + _mark(escaped, marks)


def _mark(runs: Sequence[DiffSegment], marks: Mapping[str, tuple[str, str]]) -> str:
    return "".join(run.text.join(marks[run.kind]) for run in runs)


def _behavior(change: ScenarioChange) -> Iterator[str]:
    for sign, result in zip("-+", change.both, strict=True):
        yield f"{sign} {_describe(result)}"


def _describe(result: ScenarioResult) -> str:
    """Returns the result of a scenario in one line."""
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
    texts = [text for speaker, text in result.said if speaker == "agent"]
    if texts:
        parts.append(f"last reply “{texts[-1]}”")
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
    return (
        text
        if len(text) <= _MAX_SHOWN_CHARACTERS
        else f"{text[:_MAX_SHOWN_CHARACTERS]}…"
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


# What has a meaning in GitHub's Markdown inside of a line. An underscore between
# letters, as in names, has none.
_MARKUP = re.compile(
    r"[\\`*\[\]!~@#$<>&|]|(?<![^\W_])_|_(?![^\W_])|:(?=//|[\w+-]+:)|(?<=www)\.",
    re.IGNORECASE,
)
_INVISIBLE = "&#8203;"  # a space of no width


def _escape(text: str) -> str:
    """Returns a text that is shown as it is: no link, image, mention or code."""
    return _MARKUP.sub(_entity, text)


def _entity(found: re.Match[str]) -> str:
    char = found[0]
    # GitHub searches the finished page for mentions and issue numbers.
    return (
        html.escape(char)
        if char in "<>&"
        else f"&#{ord(char)};" + (_INVISIBLE if char in "@#" else "")
    )


def _escape_lines(text: str) -> str:
    """Returns a text of several lines without lists, headings, fences and tables."""
    # Markdown recognizes these by the beginning of a line and by empty lines.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return f"<br>\n{_INVISIBLE}".join(_escape(each) for each in lines)


def _cell(text: str) -> str:
    return _escape(" ".join(text.splitlines()))
