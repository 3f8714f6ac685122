"""Builds the frozen `Suite` from checked drafts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.config.durations import parse_duration
from runner.testing.scenarios.drafts import listed
from runner.testing.scenarios.model import (
    AgentTurn,
    ConnectionTurn,
    EndTurn,
    ExpectTurn,
    LlmRule,
    MockAnswer,
    Pattern,
    Place,
    Scenario,
    Suite,
    ToolCallTurn,
    Turn,
    UserTurn,
    WaitTurn,
    read_pattern,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from runner.config.yaml.nodes import Pointer
    from runner.config.yaml.parser import Document
    from runner.testing.scenarios.drafts import ExpandedScenario


def build_suite(
    path: Path,
    document: Document,
    drafts: Iterable[ExpandedScenario],
    variables: Mapping[str, str],
) -> Suite:
    """Builds the suite; `variables` override those of the scenarios."""
    build = _Builder(path, document, variables)
    return Suite(path, tuple(build.scenario(each) for each in drafts))


class _Builder:
    """Builds the scenarios of one file."""

    def __init__(
        self, path: Path, document: Document, variables: Mapping[str, str]
    ) -> None:
        self._path = path
        self._document = document
        self._variables = variables

    def scenario(self, draft: ExpandedScenario) -> Scenario:
        """Builds one scenario."""
        entries = draft.entries
        variables = {name: each.value for name, each in entries["variables"].items()}
        return Scenario(
            name=draft.name,
            place=self.place(draft.path),
            agent=self._path.parent / draft.value("agent"),
            turns=tuple(
                build_turn(each.value, self.place(each.path)) for each in draft.turns
            ),
            variables={**variables, **self._variables},
            environment={k: each.value for k, each in entries["environment"].items()},
            mock={name: _answers(each.value) for name, each in entries["mock"].items()},
            llm=tuple(_rule(each) for each in draft.value("llm", ())),
            faults=tuple(listed(draft.value("faults", []))),
            seed=int(draft.value("seed", 0)),
            services=tuple(listed(draft.value("services", []))),
            tags=draft.tags,
            parameters=dict(draft.parameters),
        )

    def place(self, path: Pointer) -> Place:
        """Returns the place where a mapping begins."""
        span = self._document.start_span(path)
        return Place(self._path, *self._document.source.point(span.start))


def build_turn(turn: Mapping[str, Any], place: Place) -> Turn:
    """Builds a turn from its mapping in the file."""
    ((kind, value),) = turn.items()
    return _TURNS[kind](value, place)


def _agent(value: Any, place: Place) -> AgentTurn:
    fields = value if isinstance(value, dict) else {"says": value}
    return AgentTurn(
        place,
        says=patterns(fields.get("says")),
        never=patterns(fields.get("never")),
        within=_seconds(fields.get("within")),
        judge=fields.get("judge"),
    )


def _user(value: Any, place: Place) -> UserTurn:
    if isinstance(value, str):
        return UserTurn(place, value)
    interrupts = value.get("interrupts", {})
    return UserTurn(place, value["says"], _seconds(interrupts.get("after")))


def _call(value: Any, place: Place) -> ToolCallTurn:
    fields: Any = {"tool": value} if isinstance(value, str) else value
    return ToolCallTurn(
        place,
        fields["tool"],
        arguments=fields.get("arguments"),
        matching=fields.get("matching"),
        within=_seconds(fields.get("within")),
        fails=fields.get("fails"),
    )


def _expect(value: Any, place: Place) -> ExpectTurn:
    calls, any_order = read_calls(value.get("tool_calls"))
    interruptions = value.get("interruptions")
    return ExpectTurn(
        place,
        silence_within=_seconds(value.get("silence_within")),
        latency_within=_seconds(value.get("latency_within")),
        tool_calls=calls,
        any_order=any_order,
        interruptions=None if interruptions is None else int(interruptions),
        resumed=value.get("resumed"),
        nothing_dropped=value.get("nothing_dropped", False),
        no_errors=value.get("no_errors", False),
        never_says=patterns(value.get("never_says")),
        judge=value.get("judge"),
    )


def read_calls(value: Any) -> tuple[tuple[str, ...] | None, bool]:
    """Returns the tools of an `expect: {tool_calls: …}`, and whether in any order."""
    match value:
        case None:
            return None, False
        case str():
            return (), False
        case dict():
            return tuple(value["any_order"]), True
    return tuple(value), False


def _end(value: Any, place: Place) -> EndTurn:
    fields: Any = {"by": value} if isinstance(value, str) else value
    return EndTurn(place, by=fields.get("by"), within=_seconds(fields.get("within")))


_TURNS: dict[str, Callable[[Any, Place], Turn]] = {
    "agent": _agent,
    "user": _user,
    "tool_call": _call,
    "expect": _expect,
    "connection": lambda value, place: ConnectionTurn(
        place, parse_duration(value["drops"])
    ),
    "wait": lambda value, place: WaitTurn(place, parse_duration(value)),
    "end": _end,
}


def _answers(value: Any) -> tuple[MockAnswer, ...] | None:
    if isinstance(value, str):  # live
        return None
    return tuple(_answer(each) for each in listed(value))


def _answer(value: Mapping[str, Any]) -> MockAnswer:
    times = value.get("times")
    return MockAnswer(
        returns=value.get("returns"),
        raises=value.get("raises"),
        delay=_seconds(value.get("delay")) or 0.0,
        times=None if times is None else int(times),
        match=value.get("match", {}),
    )


def _rule(value: Mapping[str, Any]) -> LlmRule:
    calls = (
        (each, {})
        if isinstance(each, str)
        else (each["tool"], each.get("arguments", {}))
        for each in value.get("tool_calls", ())
    )
    return LlmRule(
        user_says=patterns(value.get("user_says")),
        after=value.get("after"),
        says=value.get("says"),
        tool_calls=tuple(calls),
    )


def patterns(value: Any) -> tuple[Pattern, ...]:
    """Reads one pattern, a list of them, or none."""
    return () if value is None else tuple(read_pattern(each) for each in listed(value))


def _seconds(value: str | None) -> float | None:
    return None if value is None else parse_duration(value)
