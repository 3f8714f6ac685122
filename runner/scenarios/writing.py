"""Writes the scenario file that a recording becomes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from runner.observers.timeline import ToolRun, trace
from runner.recording.header import Header, InvalidRecording
from runner.recording.reader import Recording
from runner.testing.scenarios.from_recording import (
    CommentedTurn,
    RecordingConverter,
    Reply,
)
from runner.testing.scenarios.model import LlmRule, MockAnswer, Place, Scenario, Suite
from runner.testing.scenarios.writer import write_suite

_LONGEST_PART = 5  # words of what the agent said that are looked for
_LONGEST_REMARK = 60  # characters
_CLAUSE_ENDS = re.compile(r"(?<=[,.;:!?])\s+")
_TURNS = "    turns:\n"


def scenario_from_recording(recording: Recording, file: Path) -> str:
    """Return the text of a scenario file, to be written to `file`, of a recorded call.

    The agent is named by its way from there. What the tools came to is mocked, and on
    the scripted service the agent's own words of then play it.

    Raises:
        NotARecording: nothing happened that a scenario could ask for.
    """
    header, place = recording.header, Place(file, 1, 1)
    # Twice: which part of some words is telling depends on all the others.
    said = [reply.says for reply in _read(recording, place, str).replies]
    account = _read(recording, place, _parts(said))
    end = account.end()
    turns = [*account.turns, *([end] if end is not None else [])]
    if not turns:
        folder = recording.folder
        raise InvalidRecording(f"nothing is said or done in the call in '{folder}'")
    scenario = Scenario(
        f"goes as it did on {header.started[:10]}",
        place,
        Path(header.agent.path),
        tuple(each.turn for each in turns),
        variables=dict(header.variables),
        mock=_mocks(header, trace(recording.entries).tools),
        llm=tuple(_steps(account.replies)),
    )
    text = write_suite(Suite(file, (scenario,)))
    return _with_remarks(text, turns, _preface(recording, account))


def _read(
    recording: Recording, place: Place, part_of: Callable[[str], str]
) -> RecordingConverter:
    account = RecordingConverter(recording.header, place, part_of)
    account.read(recording.entries)
    return account


def _parts(said: Sequence[str]) -> Callable[[str], str]:
    """Return what finds the few words of a text that the other texts do not have."""
    counts = Counter(word for text in said for word in set(_words(text)))

    def part_of(text: str) -> str:
        best, least = text.strip(), float("inf")
        for clause in _CLAUSE_ENDS.split(text.strip()):
            words = clause.split()
            for start in range(max(1, len(words) - _LONGEST_PART + 1)):
                window = words[start : start + _LONGEST_PART]
                # Few words are telling only if they are rare.
                common = sum(counts[word] for word in _words(" ".join(window)))
                rarity = (common + _LONGEST_PART) / len(window)
                if rarity < least:
                    best, least = " ".join(window), rarity
        return best.strip(" /,.;:!?") or text.strip()

    return part_of


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _steps(replies: Sequence[Reply]) -> Iterator[LlmRule]:
    for reply in replies:
        calls = tuple(reply.calls_made())
        if reply.is_thought and (reply.says or calls):
            yield LlmRule(says=reply.says or None, tool_calls=calls)


def _mocks(
    header: Header, runs: Sequence[ToolRun]
) -> dict[str, tuple[MockAnswer, ...]]:
    mocks: dict[str, list[MockAnswer]] = {}
    for run in runs:
        rules = header.config.tools.get(run.name)
        is_terminal = rules is not None and rules.terminal
        if run.state != "refused" and not is_terminal:
            mocks.setdefault(run.name, []).append(_answer(run))
    return {name: _in_turn(answers) for name, answers in mocks.items()}


def _answer(run: ToolRun) -> MockAnswer:
    value, delay = run.result, round(run.seconds or 0.0, 1)
    if run.state == "done":
        return MockAnswer(value, delay=delay)
    if run.state == "failed":
        reason = value.get("error", value) if isinstance(value, dict) else value
        return MockAnswer(raises=str(reason), delay=delay)
    # Cancelled: it is cancelled again if it takes longer than in the recorded call.
    return MockAnswer(delay=delay + 5.0)


def _in_turn(answers: Sequence[MockAnswer]) -> tuple[MockAnswer, ...]:
    """Return the answers one after the other; the last of them for ever."""
    kept = [answers[0]]
    if any(each != answers[0] for each in answers):
        kept = [*(replace(each, times=1) for each in answers[:-1]), answers[-1]]
    return tuple(kept)


def _preface(recording: Recording, account: RecordingConverter) -> Iterator[str]:
    header = recording.header
    yield f"Made from a recording: {header.service}, {header.started}."
    yield "It asks for what was said and done then. Loosen what need not be so:"
    yield "fewer words, a /pattern/, `matching:` in place of `arguments:`."
    if not recording.is_complete:
        yield "The recording was cut off, and so is the scenario."
    if header.is_redacted:
        yield "The recording is redacted: figures and addresses are not the real ones."
    for lack in account.lacks:
        yield f"Not in it: {lack}."


def _with_remarks(
    text: str, turns: Sequence[CommentedTurn], preface: Iterator[str]
) -> str:
    modeline, _, rest = text.partition("\n")
    head, _, lines = rest.partition(_TURNS)
    told_of = [
        f"{line}{_comment(each.remark)}"
        for line, each in zip(lines.splitlines(), turns, strict=True)
    ]
    comments = "".join(f"# {line}\n" for line in preface)
    return f"{modeline}\n{comments}{head}{_TURNS}" + "".join(
        f"{line}\n" for line in told_of
    )


def _comment(remark: str | None) -> str:
    if not remark:
        return ""
    line = "".join(each if each.isprintable() else " " for each in remark)
    line = " ".join(line.split())
    if len(line) > _LONGEST_REMARK:
        line = f"{line[:_LONGEST_REMARK].rstrip()}…"
    return f"  # {line}"
