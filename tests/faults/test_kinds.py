"""The table of faults, its help and its defaults."""

from __future__ import annotations

import pytest

from runner.faults.fault import Error
from runner.faults.grammar import describe_faults, parse_fault
from runner.faults.kinds import KINDS, Kind

ALL = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@ALL
def test_every_example_of_the_help_parses(kind: Kind) -> None:
    assert parse_fault(kind.example).spec == kind.example
    assert kind.example in describe_faults()


@ALL
def test_the_help_tells_of_every_kind_and_every_key(kind: Kind) -> None:
    text = describe_faults()

    assert f"{kind.name}: {kind.summary}" in text
    for name, key in kind.keys.items():
        assert f"\n{name}=" in text
        assert key.meaning in text


def test_the_help_fits_a_terminal() -> None:
    assert max(map(len, describe_faults().splitlines())) <= 88


@ALL
def test_defaults_are_those_of_keys_that_it_takes(kind: Kind) -> None:
    assert kind.defaults.keys() <= kind.keys.keys()


@pytest.mark.parametrize(
    ("spec", "close"),
    [
        ("error code=session_expired at=1s", 1008),
        ("error code=UNAUTHORIZED at=1s", 1008),
        ("error code=invalid_value at=1s", None),
        ("error code=internal_error at=1s", None),
        ("error code=invalid_value phase=opening", 1008),
        ("error code=internal_error phase=opening", 1011),
        ("error code=at_capacity phase=resume", 1008),
        ("error code=invalid_value on=session.update:2", None),
        ("error code=unauthorized phase=opening close=none", None),
        ("error code=invalid_value at=1s close=1011", 1011),
    ],
)
def test_an_error_closes_the_line_as_the_service_would(
    spec: str, close: int | None
) -> None:
    effect = parse_fault(spec).effect

    assert isinstance(effect, Error)
    assert effect.close == close
