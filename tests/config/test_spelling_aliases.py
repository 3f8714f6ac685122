from __future__ import annotations

import re

import pytest

from runner.config.schema import packaged_schema
from runner.config.spelling import ALIASES, HOMES, RENAMED, RENAMED_BELOW, unit_of
from runner.testing.scenarios.loader import packaged_schema as scenario_schema


def words(schema: object) -> set[str]:
    """Every key and every choice that the agent schema has."""
    found: set[str] = set()
    if isinstance(schema, dict):
        found |= set(schema.get("properties", ()))
        found |= {each for each in schema.get("enum", ()) if isinstance(each, str)}
        for each in schema.values():
            found |= words(each)
    elif isinstance(schema, list):
        for each in schema:
            found |= words(each)
    return found


OURS = words(packaged_schema())
TYPES = {"string", "integer", "number", "boolean", "object", "array"}


def test_every_name_leads_to_one_of_ours() -> None:
    meant = {each for choices in ALIASES.values() for each in choices}
    assert meant <= OURS | TYPES


def test_names_are_in_snake_case() -> None:
    for each in [*ALIASES, *HOMES]:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", each), each


def test_a_name_of_ours_is_at_home_somewhere_in_the_schema() -> None:
    theirs = {"transcription_mode", "transcription_prompt"}
    assert set(HOMES) - theirs <= OURS
    assert {re.match(r"\w+", each)[0] for each in HOMES.values()} <= OURS  # type: ignore[index]  # every home begins with a name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("timeout_ms", ("timeout", "ms")),
        ("timeout_seconds", ("timeout_seconds", "s")),
        ("max_duration_minutes", ("max_duration", "m")),
        ("min_silence", ("min_silence", None)),
        ("max_turn_silence", ("max_turn_silence", "ms")),
        ("ms", ("ms", None)),
        ("", ("", None)),
    ],
)
def test_a_unit_in_a_name_is_separated_from_it(
    name: str, parts: tuple[str, str | None]
) -> None:
    assert unit_of(name) == parts


def test_a_renamed_key_leads_to_a_key_of_the_files() -> None:
    assert set(RENAMED.values()) <= OURS | words(scenario_schema())
    for old, below in RENAMED_BELOW.items():
        assert old in RENAMED
        assert set(below.items()) <= set(RENAMED.items())
