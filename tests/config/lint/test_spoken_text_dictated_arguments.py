from __future__ import annotations

import ast

import pytest

from runner.config.lint.spoken_text import (
    find_dictated,
    find_dictated_arguments,
    kind_of_value,
)


@pytest.mark.parametrize(
    ("name", "description", "kind"),
    [
        ("phone", None, "a telephone number"),
        ("phone_number", None, "a telephone number"),
        ("callerPhone", None, "a telephone number"),
        ("email", None, "an e-mail address"),
        ("birth_date", None, "a date"),
        ("start_time", None, "a time"),
        ("order_id", None, "a number"),
        ("iban", None, "an account number"),
        ("to", "The caller's e-mail address", "an e-mail address"),
        ("at", "Phone number of the caller", "a telephone number"),
        ("which", "Order number, four digits", "a number"),
        ("name", None, None),
        ("city", None, None),
        ("question", "What the caller said about the order number", None),
        ("phones", None, None),
        ("timezone", None, None),
        ("time_zone", None, None),
        ("country_code", None, None),
        ("language_code", None, None),
        ("session_id", None, None),
        ("candidate", None, None),
        ("update", None, None),
        ("code_words", None, None),
        ("customer_id", "The id that identify returned", None),
        ("quote_id", "Comes from find_quotes", None),
        ("flight_number", "As it stands in the list from find_flights", None),
        ("order_id", 7, "a number"),
    ],
)
def test_names_and_descriptions_show_what_is_dictated(
    name: str, description: object, kind: str | None
) -> None:
    assert kind_of_value(name, description) == kind


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        ({"properties": {"phone": {"type": "string"}}}, ["phone"]),
        ({"properties": {"phone": {"type": ["string", "null"]}}}, ["phone"]),
        ({"properties": {"phone": {"type": "string", "minLength": 6}}}, ["phone"]),
        ({"properties": {"phone": {"type": "string", "pattern": "[0-9]+"}}}, []),
        ({"properties": {"phone": {"type": "string", "examples": ["1"]}}}, []),
        ({"properties": {"day_of_date": {"type": "string", "format": "date"}}}, []),
        ({"properties": {"amount": {"type": "number"}}}, []),
        ({"properties": {"phone": {"$ref": "#/$defs/phone"}}}, []),
        (
            {"properties": {"who": {"properties": {"email": {"type": "string"}}}}},
            ["email"],
        ),
        ({"properties": {"phone": True}}, []),
        ({"properties": []}, []),
        (None, []),
    ],
)
def test_a_schema_is_searched(schema: object, names: list[str]) -> None:
    assert [each.name for each in find_dictated(schema, ("x",))] == names


@pytest.mark.parametrize(
    ("annotation", "found"),
    [
        ("str", True),
        ("str | None", True),
        ("Optional[str]", True),
        ("Annotated[str, 'Where to call']", True),
        ("Annotated[str | None, 'Where to call']", True),
        ("typing.Annotated[str, 'Where', {'minLength': 3}]", True),
        ("Annotated[str, 'Where', {'pattern': '[0-9]+'}]", False),
        ("Annotated[str, HINTS]", False),
        ("Annotated[str, {**HINTS}]", False),
        ("Annotated[int, 'Where']", False),
        ("Literal['a', 'b']", False),
        ("Phone", False),
        ("int", False),
        ("list[str]", False),
        ("'str'", False),
    ],
)
def test_only_plain_strings_of_a_function_are_dictated(
    annotation: str, found: bool
) -> None:
    function = ast.parse(f"def f(phone: {annotation}, b: str, *, c=1): ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    names = [each.name for each in find_dictated_arguments(function)]
    assert names == (["phone"] if found else [])


def test_metadata_of_a_type_describes_it() -> None:
    code = "async def f(to: Annotated[str, 'The e-mail address']): ..."
    function = ast.parse(code).body[0]
    assert isinstance(function, ast.AsyncFunctionDef)
    assert [each.kind for each in find_dictated_arguments(function)] == [
        "an e-mail address"
    ]
