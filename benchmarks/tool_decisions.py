"""How well the small models decide: right tool and argument, false calls, dialogues.

    python benchmarks/tool_decisions.py [--set benchmark] [--brain NAME ...]
                                        [--count N]

The requests in `tool_decisions/benchmark.yaml` were written before the mind was tuned
and are never looked at for tuning; `tool_decisions/development.yaml` is for that. All
brains run in one process, one after the other, on the same requests. Times are from
the request to the first clause or the call, and include whatever else the machine does.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from runner.config.model import LlmConfig
from runner.speech.interfaces import (
    AgentContext,
    AssistantMessage,
    HistoryMessage,
    LanguageModel,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
)
from runner.speech.llm import load_llm
from runner.speech.llm.text import spoken_tokens
from runner.speech.models import open_model_store

REQUESTS = Path(__file__).parent / "tool_decisions"
DEFAULT_BRAINS = ("qwen-1.5b", "qwen-0.5b", "rules")


@dataclass(slots=True)
class Decision:
    """What a mind made of one turn; times in seconds."""

    spoken: list[TextChunk] = field(default_factory=list)
    call: ToolCallRequest | None = None
    first: float = 0.0  # until the first clause or the call


@dataclass(slots=True)
class Score:
    """The counts of one brain."""

    right: int = 0
    wanted: int = 0
    false_calls: int = 0
    unwanted: int = 0
    dialogues: int = 0
    held: int = 0
    times: list[float] = field(default_factory=list)
    answer_times: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", default="benchmark", dest="name")
    parser.add_argument("--brain", action="append", help="a name or a .gguf path")
    parser.add_argument("--count", type=int, help="of requests, and of dialogues")
    parser.add_argument("--verbose", action="store_true", help="show every answer")
    options = parser.parse_args()
    text = (REQUESTS / f"{options.name}.yaml").read_text(encoding="utf-8")
    agents = first(yaml.safe_load(text)["agents"], options.count)
    scores = {}
    for name in options.brain or DEFAULT_BRAINS:
        brain = load_llm(LlmConfig(name=name), open_model_store().find)
        print(f"{name} ...", file=sys.stderr)
        scores[name] = score_brain(brain, agents)
        brain.close()
    report(scores, options.verbose)


def first(
    agents: Sequence[Mapping[str, Any]], count: int | None
) -> list[Mapping[str, Any]]:
    """Return the agents with the first requests and dialogues, so many of each."""
    left = {"requests": count, "dialogues": count}
    kept: list[Mapping[str, Any]] = []
    for agent in agents:
        own = dict(agent)
        for key, number in left.items():
            own[key] = agent[key][:number]
            if number is not None:
                left[key] = number - len(own[key])
        if own["requests"] or own["dialogues"]:
            kept.append(own)
    return kept


def score_brain(brain: LanguageModel, agents: Sequence[Mapping[str, Any]]) -> Score:
    score = Score()
    for agent in agents:
        brief = AgentContext(agent["prompt"], agent["tools"])
        brain.warm(brief)
        for request in agent["requests"]:
            score_request(brain, brief, request, score)
        for dialogue in agent["dialogues"]:
            problem = hold_dialogue(brain, brief, dialogue, score)
            score.dialogues += 1
            score.held += problem is None
            if problem is not None:
                score.failures.append(f"dialogue {dialogue['name']!r}: {problem}")
    return score


def score_request(
    brain: LanguageModel,
    brief: AgentContext,
    request: Mapping[str, Any],
    score: Score,
) -> None:
    decision = decide(brain, brief, [UserMessage(request["say"])])
    score.times.append(decision.first)
    is_right = is_expected(request["call"], decision.call)
    if request["call"] is None:
        score.unwanted += 1
        score.false_calls += decision.call is not None
    else:
        score.wanted += 1
        score.right += is_right
    line = f"{request['say']!r} -> {describe(decision)}"
    score.answers.append(line)
    if not is_right:
        score.failures.append(line)


def hold_dialogue(
    brain: LanguageModel,
    brief: AgentContext,
    dialogue: Mapping[str, Any],
    score: Score,
) -> str | None:
    """Play all turns; return what went wrong first, if anything did."""
    history: list[HistoryMessage] = []
    for number, turn in enumerate(dialogue["turns"]):
        history.append(UserMessage(turn["say"]))
        decision = decide(brain, brief, history)
        score.times.append(decision.first)
        score.answers.append(f"  {turn['say']!r} -> {describe(decision)}")
        if not is_expected(turn["call"], decision.call):
            return f"turn {number + 1} {turn['say']!r} -> {describe(decision)}"
        if decision.call is not None:
            result = turn.get("result", '{"ok": true}')
            history.append(
                ToolMessage(
                    f"c{number}", decision.call.name, decision.call.arguments, result
                )
            )
            if "result" in turn:
                decision = decide(brain, brief, history)
                score.answer_times.append(decision.first)
                score.answers.append(f"  {result} -> {describe(decision)}")
        if decision.spoken:
            text = " ".join(clause.text for clause in decision.spoken)
            asked = [c.asked_for for c in decision.spoken if c.asked_for]
            history.append(AssistantMessage(text, asked[0] if asked else None))
    return None


def decide(
    brain: LanguageModel, brief: AgentContext, history: Sequence[HistoryMessage]
) -> Decision:
    decision = Decision()
    began = time.perf_counter()
    for number, thought in enumerate(brain.respond(brief, history, lambda: False)):
        if number == 0:
            decision.first = time.perf_counter() - began
        if isinstance(thought, ToolCallRequest):
            decision.call = thought
        else:
            decision.spoken.append(thought)
    return decision


def is_expected(
    expected: Mapping[str, Any] | None, call: ToolCallRequest | None
) -> bool:
    if expected is None or call is None:
        return expected is None and call is None
    ((name, arguments),) = expected.items()
    return (
        call.name == name
        and set(call.arguments) == set(arguments)
        and all(is_value(call.arguments[k], v) for k, v in arguments.items())
    )


def is_value(value: object, expected: object) -> bool:
    if expected == "*":
        return True
    if isinstance(expected, list):
        return any(is_value(value, one) for one in expected)
    if isinstance(expected, str):
        return squash(str(value)) == squash(expected)
    return value == expected


def squash(text: str) -> str:
    return "".join(spoken_tokens(text))


def describe(decision: Decision) -> str:
    parts = [repr(clause.text) for clause in decision.spoken]
    if decision.call is not None:
        parts.append(f"{decision.call.name} {dict(decision.call.arguments)}")
    return f"{' '.join(parts) or 'nothing'} ({decision.first:.2f} s)"


def report(scores: Mapping[str, Score], verbose: bool) -> None:
    for line in table(scores):
        print(line)
    for name, score in scores.items():
        print(f"\n{name}: what went wrong")
        for failure in score.failures:
            print(f"  {failure}")
        if verbose:
            print(f"\n{name}: everything")
            for answer in score.answers:
                print(f"  {answer}")


def table(scores: Mapping[str, Score]) -> Iterator[str]:
    yield (
        f"{'brain':<12} {'tool+argument':>13} {'no false call':>13} {'dialogues':>9} "
        f"{'decision median':>15} {'p90':>6} {'max':>6} {'answer median':>13}"
    )
    for name, score in scores.items():
        ordered = sorted(score.times)
        p90 = ordered[int(0.9 * (len(ordered) - 1))]
        quiet = score.unwanted - score.false_calls
        answer = statistics.median(score.answer_times or [0.0])
        yield (
            f"{name:<12} {f'{score.right}/{score.wanted}':>13} "
            f"{f'{quiet}/{score.unwanted}':>13} "
            f"{f'{score.held}/{score.dialogues}':>9} "
            f"{statistics.median(ordered):>13.2f} s {p90:>4.2f} s "
            f"{ordered[-1]:>4.2f} s {answer:>11.2f} s"
        )


if __name__ == "__main__":
    main()
