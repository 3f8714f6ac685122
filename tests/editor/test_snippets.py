"""The snippets that editors insert are valid as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from runner.config.schema import find_violations, packaged_schema
from tests.editor.snippets import expand

SCHEMA = packaged_schema()


def snippets(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Yield every snippet with its name and the schema that it is to satisfy."""
    if isinstance(schema, dict):
        for each in schema.get("defaultSnippets", ()):
            yield f"{path}: {each['label']}", schema, each["body"]
        for key, value in schema.items():
            if key != "defaultSnippets":
                yield from snippets(value, f"{path}/{key}")


SNIPPETS = {name: (schema, body) for name, schema, body in snippets(SCHEMA)}


def as_read(body: Any) -> Any:
    """Return the value that a snippet's body becomes in the file."""
    if isinstance(body, dict):
        return {as_read(key): as_read(value) for key, value in body.items()}
    if isinstance(body, list):
        return [as_read(each) for each in body]
    return yaml.safe_load(body) if isinstance(body, str) else body


def expanded(body: Any) -> Any:
    # In one go, because a field may be named again elsewhere in the body.
    return json.loads(expand(json.dumps(body).replace("\\\\", "\\")))


def test_the_common_things_have_snippets() -> None:
    labels = {name.partition(": ")[2] for name in SNIPPETS}
    assert {"agent", "Python tool", "HTTP tool", "end_call", "variable"} <= labels
    assert {"ask, then hang up", "silences that end a turn"} <= labels


@pytest.mark.parametrize("name", SNIPPETS)
def test_what_a_snippet_inserts_satisfies_the_schema(name: str) -> None:
    schema, body = SNIPPETS[name]

    value = as_read(expanded(body))

    assert find_violations(value, {**schema, "$defs": SCHEMA["$defs"]}) == []


@pytest.mark.parametrize(
    ("snippet", "text"),
    [
        ("a: ${1:b}", "a: b"),
        ("${1:a}: [$1, ${1}]", "a: [a, a]"),
        (r"${1:[0-9]{4\}}", "[0-9]{4}"),
        (r"Bearer \${env:${2:TOKEN}}", "Bearer ${env:TOKEN}"),
        ("none: $1", "none: "),
    ],
)
def test_fields_are_expanded_as_editors_do(snippet: str, text: str) -> None:
    assert expand(snippet) == text
