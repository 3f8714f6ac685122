from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from runner.config.loader import check_file
from runner.config.schema import (
    agent_schema,
    builtin_kinds,
    find_violations,
    packaged_schema,
)
from runner.errors import ToolError
from tests.shipped import AGENT_FILES

ROOT = Path(__file__).parents[2]
FILES = Path(__file__).parent / "schema"
GOOD = sorted((FILES / "good").glob("*.yaml"))
BAD = sorted((FILES / "bad").glob("*.yaml"))
MINIMAL = {"version": 1, "name": "a", "prompt": "Be brief."}


def fields(schema: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every schema that describes a field, by its path."""
    found = []
    for name, each in schema.get("properties", {}).items():
        found.append((f"{path}.{name}", each))
        found += fields(each, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found += fields(schema[key], f"{path}[]")
    return found


def all_fields() -> list[tuple[str, dict[str, Any]]]:
    schema = packaged_schema()
    found = fields(schema)
    for name, each in schema["$defs"].items():
        found += fields(each, name)
    return found


def test_the_schema_is_a_valid_schema_of_2020_12() -> None:
    schema = packaged_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == "https://vagent.dev/schema/agent-1.json"


def test_the_packaged_schema_is_the_composition_with_the_builtin_kinds() -> None:
    assert agent_schema() == packaged_schema()
    assert agent_schema(builtin_kinds()) == packaged_schema()
    assert set(builtin_kinds()) == {"python", "http", "plugin"}


def test_the_schema_in_the_agents_folder_is_the_packaged_one() -> None:
    packaged = ROOT / "runner" / "config" / "agent.schema.json"
    beside = ROOT / "agents" / "agent.schema.json"
    assert beside.read_text("utf-8") == packaged.read_text("utf-8")


def test_every_field_is_described() -> None:
    bare = []
    for path, schema in all_fields():
        target = schema
        if "description" not in schema and "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            target = packaged_schema()["$defs"][name]
        if not target.get("description"):
            bare.append(path)
    assert bare == []


def test_every_definition_is_described() -> None:
    definitions = packaged_schema()["$defs"]
    assert [
        name for name, each in definitions.items() if "description" not in each
    ] == []


def test_no_plain_field_has_a_default_that_editors_would_write_into_files() -> None:
    """They put every default of a text, number or switch into each new mapping."""
    assert [
        path for path, each in all_fields() if {"type", "default"} <= set(each)
    ] == []


def test_every_example_and_default_satisfies_its_own_schema() -> None:
    root = packaged_schema()
    for path, schema in all_fields():
        field = {**schema, "$defs": root["$defs"]}
        values = [*schema.get("examples", [])]
        if "default" in schema:
            values.append(schema["default"])
        for value in values:
            assert find_violations(value, field) == [], f"{path}: {value}"


def test_every_mapping_is_closed_but_those_that_others_define() -> None:
    open_ones = {
        path
        for path, schema in all_fields()
        if "object" in str(schema.get("type")) and "additionalProperties" not in schema
    }
    # A JSON Schema may say more than its fields here.
    assert open_ones == {"tool.parameters", "kind_http.fields"}


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_file_passes(path: Path) -> None:
    found = check_file(path, environment={})
    assert [each for each in found if each.is_error] == []


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_has_one_schema_finding(path: Path) -> None:
    found = check_file(path, environment={})
    schema_level = [each for each in found if each.rule.startswith("VA2")]
    assert len(schema_level) == 1, [str(each) for each in found]


def test_a_third_party_validator_gives_the_same_verdicts() -> None:
    assert AGENT_FILES
    verdicts = judge_elsewhere([*GOOD, *BAD, *AGENT_FILES])
    assert {path for path, fine in verdicts.items() if not fine} == set(BAD)


def judge_elsewhere(paths: list[Path]) -> dict[Path, bool]:
    """Ask check-jsonschema for its verdict on each file."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema"),
            *("--schemafile", str(ROOT / "agents" / "agent.schema.json")),
            *("--output-format", "json"),
            *(str(path) for path in paths),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report.get("parse_errors", []) == []
    failed = {Path(each["filename"]) for each in report["errors"]}
    return {path: path not in failed for path in paths}


def test_the_kind_of_a_plugin_is_composed_and_its_references_stay_inside() -> None:
    kind = {
        "type": "object",
        "properties": {"port": {"$ref": "#/$defs/port"}},
        "$defs": {"port": {"type": "integer", "maximum": 65535}},
    }
    schema = agent_schema({"serial": kind})
    Draft202012Validator.check_schema(schema)
    tool = {"name": "look", "serial": {"port": 80}}
    assert find_violations({**MINIMAL, "tools": [tool]}, schema) == []
    tool = {"name": "look", "serial": {"port": 70000}}
    (violation,) = find_violations({**MINIMAL, "tools": [tool]}, schema)
    assert violation.path == ("tools", 0, "serial", "port")
    assert find_violations({**MINIMAL, "tools": [tool]}, agent_schema()) != []


def test_composing_leaves_the_packaged_schema_alone() -> None:
    before = packaged_schema()
    agent_schema({"serial": True})
    assert packaged_schema() == before


def test_a_builtin_kind_cannot_be_replaced() -> None:
    assert agent_schema({"http": {"type": "string"}}) == packaged_schema()


def test_a_kind_cannot_take_the_name_of_a_field() -> None:
    with pytest.raises(ToolError, match="'timeout'"):
        agent_schema({"timeout": {}})


def test_a_kind_with_an_invalid_schema_is_refused() -> None:
    with pytest.raises(ToolError, match="invalid schema"):
        agent_schema({"serial": {"type": "strnig"}})


def test_a_keyword_that_only_plugins_use_is_still_put_into_words(
    tmp_path: Path,
) -> None:
    kind = {"type": "integer", "multipleOf": 5}
    file = tmp_path / "a.yaml"
    file.write_text("version: 1\nname: a\nprompt: p\ntools:\n  - serial: 7\n")
    (found,) = check_file(file, environment={}, kinds={"serial": kind})
    assert (found.rule, found.line, found.column) == ("VA299", 5, 13)
    assert found.message == "`serial` is 7, which is not allowed here"


def test_of_alternatives_the_one_that_was_meant_is_spoken_of(tmp_path: Path) -> None:
    kind = {
        "anyOf": [
            {"type": "string"},
            {"type": "object", "properties": {"port": {"maximum": 9}}},
        ]
    }
    file = tmp_path / "a.yaml"
    file.write_text("version: 1\nname: a\nprompt: p\ntools:\n  - serial: {port: 10}\n")
    (found,) = check_file(file, environment={}, kinds={"serial": kind})
    assert (found.rule, found.column) == ("VA202", 20)
