"""Every value that differs between two agents, in words."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.testing.diff import Change, compare_sending

TOOL = {
    "name": "lookup",
    "description": "Look it up.",
    "parameters": {
        "type": "object",
        "properties": {"id": {"type": "string", "enum": ["a", "b"], "minLength": 2}},
        "required": ["id"],
    },
    "timeout": "5s",
}
AGENT: dict[str, Any] = {
    "prompt": "Be brief.",
    "greeting": None,
    "voice": {"name": "alba", "volume": None},
    "tools": [TOOL, {"name": "end_call", "description": "Hang up."}],
}


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    agent = deepcopy(AGENT)
    place: Any = agent
    for key in path[:-1]:
        place = place[key]
    if to is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return agent


PROPERTIES = ("tools", 0, "parameters", "properties")

CASES: dict[str, tuple[dict[str, Any], Change]] = {
    "a text": (
        changed("prompt", to="Be long."),
        Change("prompt", "changed", "Be brief.", "Be long."),
    ),
    "a value that was not set": (
        changed("greeting", to="Hi"),
        Change("greeting", "added", None, "Hi"),
    ),
    "a value that is no longer set": (
        changed("voice", "name", to=None),
        Change("voice.name", "removed", "alba", None),
    ),
    "a tool that is gone": (
        changed("tools", to=[TOOL]),
        Change("tools", "removed", "end_call", None, "the model can no longer call it"),
    ),
    "a tool that has come": (
        changed("tools", to=[*AGENT["tools"], {"name": "new"}]),
        Change("tools", "added", None, "new"),
    ),
    "a tool by another name": (
        changed("tools", 0, "name", to="find"),
        Change(
            "tools",
            "renamed",
            "lookup",
            "find",
            "the model and every mock know it by its name",
        ),
    ),
    "a tool's timeout": (
        changed("tools", 0, "timeout", to="6s"),
        Change("tools.lookup.timeout", "changed", "5s", "6s"),
    ),
    "the order of tools": (
        changed("tools", to=AGENT["tools"][::-1]),
        Change("tools", "changed", "lookup, end_call", "end_call, lookup", "order"),
    ),
    "an argument that is gone": (
        changed(*PROPERTIES, "id", to=...),
        Change(
            "tools.lookup.id",
            "removed",
            TOOL["parameters"]["properties"]["id"],  # type: ignore[index]  # as above
            None,
            "calls that give it are refused",
        ),
    ),
    "an argument that may be left out": (
        changed("tools", 0, "parameters", "required", to=[]),
        Change("tools.lookup.id", "changed", "required", "optional"),
    ),
    "a value that is no longer valid": (
        changed(*PROPERTIES, "id", "enum", to=["a", "c"]),
        Change(
            "tools.lookup.id.enum",
            "changed",
            ["a", "b"],
            ["a", "c"],
            'no longer valid: "b"',
        ),
    ),
    "a bound that is looser": (
        changed(*PROPERTIES, "id", "minLength", to=1),
        Change("tools.lookup.id.minLength", "changed", 2, 1, "more is valid"),
    ),
    "a pattern": (
        changed(*PROPERTIES, "id", "pattern", to="[ab]"),
        Change("tools.lookup.id.pattern", "added", None, "[ab]", "less is valid"),
    ),
}


@pytest.mark.parametrize(("new", "change"), CASES.values(), ids=CASES)
def test_one_change_is_reported_once(new: dict[str, Any], change: Change) -> None:
    assert compare_sending(AGENT, new) == [change]


def test_a_new_argument_that_is_required_is_a_break() -> None:
    new = changed(*PROPERTIES, "day", to={"type": "string"})
    new["tools"][0]["parameters"]["required"] = ["id", "day"]

    (change,) = compare_sending(AGENT, new)

    assert change.note == "calls without it are refused"


def test_an_agent_does_not_differ_from_itself() -> None:
    assert compare_sending(AGENT, deepcopy(AGENT)) == []


VALUES = st.recursive(
    st.none() | st.integers(0, 2) | st.sampled_from(["x", "y"]),
    lambda inner: st.dictionaries(st.sampled_from("pqr"), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from("abc"), VALUES), st.data())
def test_exactly_the_differences_are_found(
    old: dict[str, Any], data: st.DataObject
) -> None:
    new = data.draw(st.just(old) | st.dictionaries(st.sampled_from("abc"), VALUES))

    changes = compare_sending(old, new)

    assert bool(changes) == (_bare(old) != _bare(new))


def _bare(value: Any) -> Any:
    """Removes unset values at any depth: they do not count as differences."""
    if not isinstance(value, dict):
        return value
    bare = {key: _bare(each) for key, each in value.items()}
    return {key: each for key, each in bare.items() if each is not None}
