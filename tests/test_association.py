from __future__ import annotations

import json

import pytest

from runner.association import NotEditable, associate

SCHEMA = "./agents/agent.schema.json"
PATTERNS = ["agents/*.yaml", "agents/*.yml"]
ENTRY = '"./agents/agent.schema.json": ["agents/*.yaml", "agents/*.yml"]'


def edited(text: str) -> str:
    return associate(text, SCHEMA, PATTERNS)


@pytest.mark.parametrize("text", ["", " \n"])
def test_settings_that_are_not_there_are_made(text: str) -> None:
    assert edited(text) == f'{{\n    "yaml.schemas": {{{ENTRY}}}\n}}\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", f'{{\n    "yaml.schemas": {{{ENTRY}}}\n}}'),
        ("{\n}\n", f'{{\n    "yaml.schemas": {{{ENTRY}}}\n}}\n'),
        (
            '{\n  "a": [1,\n2],\n  "b": "é"\n}\n',
            f'{{\n  "a": [1,\n2],\n  "b": "é",\n  "yaml.schemas": {{{ENTRY}}}\n}}\n',
        ),
        ('{"a": {"b": 1}}', f'{{"a": {{"b": 1}}, "yaml.schemas": {{{ENTRY}}}}}'),
        (
            '{\r\n\t"a": 1\r\n}',
            f'{{\r\n\t"a": 1,\r\n\t"yaml.schemas": {{{ENTRY}}}\r\n}}',
        ),
        (
            '{\n  "yaml.schemas": {\n    "x.json": "x.yaml"\n  },\n  "z": 0\n}',
            '{\n  "yaml.schemas": {\n    "x.json": "x.yaml",\n'
            f"    {ENTRY}\n  }},\n"
            '  "z": 0\n}',
        ),
        (
            '{\n  "yaml.schemas": {}\n}',
            f'{{\n  "yaml.schemas": {{\n      {ENTRY}\n  }}\n}}',
        ),
        (
            f'{{"yaml.schemas": {{"{SCHEMA}": "mine.yaml"}}}}',
            f'{{"yaml.schemas": {{"{SCHEMA}": '
            '["mine.yaml", "agents/*.yaml", "agents/*.yml"]}}',
        ),
    ],
)
def test_an_entry_is_added_and_the_rest_stays_byte_for_byte(
    before: str, after: str
) -> None:
    assert edited(before) == after
    assert set(json.loads(before or "{}")) <= set(json.loads(after))


@pytest.mark.parametrize(
    "text",
    [
        f'{{"yaml.schemas": {{{ENTRY}}}}}',
        f'{{ // mine\n "a": "// no comment",\n "yaml.schemas": {{{ENTRY}}},\n}}',
    ],
)
def test_what_says_so_already_is_unchanged(text: str) -> None:
    assert edited(text) == text


@pytest.mark.parametrize(
    "text",
    [
        '{ // mine\n  "a": 1\n}',
        '{ "a": 1, /* mine */ }',
        '{"a": 1,}',
        '{"a": 1, "a": 2}',
        "[]",
        "{",
        '{"yaml.schemas": []}',
        f'{{"yaml.schemas": {{"{SCHEMA}": 1}}}}',
    ],
)
def test_what_cannot_be_edited_safely_is_left_alone(text: str) -> None:
    with pytest.raises(NotEditable) as problem:
        edited(text)

    assert problem.value.entry == f'"yaml.schemas": {{{ENTRY}}}'
