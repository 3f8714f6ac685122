from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from runner.config.loader import inspect_agent
from runner.config.provenance import Origin, TracedConfig, Use, placeholder_for, trace
from runner.config.schema import agent_schema

START = "version: 1\nname: a\n"


def traced(
    folder: Path,
    text: str,
    given: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> TracedConfig:
    path = folder / "a.yaml"
    path.write_text(START + text, "utf-8")
    inspection = inspect_agent(path, environment={"SET": "x"}, variables=given or {})
    hidden = {name: placeholder_for(name) for name in ("SET", "UNSET")}
    return trace(inspection, given or {}, variables or {}, hidden)


def test_an_empty_agent_has_every_field_of_the_schema(tmp_path: Path) -> None:
    found = traced(tmp_path, "prompt: p\n")
    assert set(found.values) == set(agent_schema()["properties"]) - {"prompt_file"}
    for section in ("voice", "transcription", "turn_detection", "session"):
        known = agent_schema()["properties"][section]["properties"]
        assert set(found.values[section]) == set(known)


def test_a_voice_in_short_is_its_name(tmp_path: Path) -> None:
    found = traced(tmp_path, "prompt: p\nvoice: alba\n")
    assert found.values["voice"] == {"name": "alba", "volume": None}
    assert found.origin(("voice", "name")) == Origin("file", None, 4, 8)
    assert found.origin(("voice", "volume")).kind == "service"


def test_a_value_through_an_alias_is_where_it_is_used(tmp_path: Path) -> None:
    found = traced(tmp_path, "prompt: &p p\ngreeting: *p\n")
    assert found.values["greeting"] == "p"
    assert found.origin(("greeting",)).line == 4


def test_a_prompt_file_is_the_origin_of_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("I am ${who}.")
    found = traced(
        tmp_path,
        "prompt_file: p.md\nvariables: {who: {default: x}}\n",
        variables={"who": "Ann"},
    )
    assert found.values["prompt"] == "I am Ann."
    uses = (Use("who", "default", 4),)
    assert found.origin(("prompt",)) == Origin("file", "p.md", 1, 1, uses=uses)


@pytest.mark.parametrize(
    ("declared", "given", "expected"),
    [
        ("{default: x}", {}, Use("who", "default", 4)),
        ("{default: x}", {"who": "y"}, Use("who", "given")),
        ("{}", {}, Use("who", "unset")),
    ],
)
def test_a_placeholder_knows_who_gave_its_value(
    tmp_path: Path, declared: str, given: dict[str, str], expected: Use
) -> None:
    text = (
        f"prompt: ${{who}} and $${{who}} and ${{who}}\nvariables: {{who: {declared}}}\n"
    )
    found = traced(tmp_path, text, given, {"who": "z"})
    assert found.values["prompt"] == "z and ${who} and z"
    assert found.origin(("prompt",)).uses == (expected,)


def test_the_environment_is_only_asked_whether_it_is_set(tmp_path: Path) -> None:
    found = traced(
        tmp_path, 'prompt: p\nservice: {url: "wss://h/${env:SET}${env:UNSET}"}\n'
    )
    assert found.values["service"]["url"] == "wss://h/${env:SET}${env:UNSET}"
    assert found.origin(("service", "url")).uses == (
        Use("env:SET", "environment"),
        Use("env:UNSET", "unset"),
    )


def test_a_value_without_an_origin_has_that_of_what_holds_it() -> None:
    traced = TracedConfig({}, {("a",): Origin("given"), ("a", 0, "b"): Origin("unset")})
    assert traced.origin(("a", 0, "c")).kind == "given"
    assert traced.origin(("a", 0, "b")).kind == "unset"
    with pytest.raises(KeyError):
        traced.origin(("b",))
