"""Fault specs: parsed values, defaults, error messages, help text and files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import ConfigError, FileUnreadable, UsageError
from runner.service.faults.model import BOTH, Direction, Trigger
from runner.service.faults.parser import (
    KINDS,
    FaultKind,
    describe_faults,
    load_faults,
    parse_fault,
)

ALL = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
UP, DOWN = (Direction.UP,), (Direction.DOWN,)
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "inject-faults.md"


def test_every_fault_of_the_documentation_parses() -> None:
    section = PAGE.read_text("utf-8")
    specs = re.findall(r'--fault "([^"]+)"', section)
    specs += [each.partition("#")[0] for each in re.findall(r"^- (.+)$", section, re.M)]

    assert len(specs) >= 6
    for spec in specs:
        parse_fault(spec)


@pytest.mark.parametrize(
    ("spec", "trigger", "parameters"),
    [
        ("drop at=5s", Trigger(at=5.0), {"how": "end"}),
        ("drop at=5s how=reset", Trigger(at=5.0), {"how": "reset"}),
        (
            "drop on=reply.audio:10",
            Trigger(None, "reply.audio", 10, directions=DOWN),
            {"how": "end"},
        ),
        (
            "drop at=1s every=10s times=3",
            Trigger(at=1.0, every=10.0, times=3),
            {"how": "end"},
        ),
        (
            "drop on=tool.call every=2",
            Trigger(None, "tool.call", every=2, times=None, directions=DOWN),
            {"how": "end"},
        ),
        ("outage at=4s for=3s", Trigger(at=4.0), {"for": 3.0}),
        (
            "refuse status=502",
            Trigger(at=0.0),
            {"status": 502, "for": None, "times": 1},
        ),
        (
            "refuse status=502 for=2s",
            Trigger(at=0.0),
            {"status": 502, "for": 2.0, "times": None},
        ),
        (
            "refuse status=503 on=tool.call times=2",
            Trigger(None, "tool.call", directions=DOWN),
            {"status": 503, "for": None, "times": 2},
        ),
        ("half-open at=4s", Trigger(at=4.0), {"for": 60.0}),
        (
            "slow by=200ms direction=up",
            Trigger(at=0.0),
            {
                "by": pytest.approx(0.2),
                "jitter": 0.0,
                "direction": UP,
                "for": None,
            },
        ),
        (
            "late on=reply.done by=1s",
            Trigger(None, "reply.done", directions=DOWN),
            {"by": 1.0},
        ),
        (
            "duplicate on=tool.result by=1s",
            Trigger(None, "tool.result", directions=UP),
            {"by": 1.0},
        ),
        (
            "reorder on=* chance=0.1",
            Trigger(None, "*", times=None, chance=0.1, directions=BOTH),
            {"within": 1.0},
        ),
        (
            "error code=internal_error phase=resume",
            Trigger(None, "session.resume", directions=UP),
            {
                "code": "internal_error",
                "message": "internal_error (injected)",
                "close": 1011,
            },
        ),
        (
            "error code=invalid_value message='no good' at=1s",
            Trigger(at=1.0),
            {"code": "invalid_value", "message": "no good", "close": None},
        ),
        (
            "error code=session_expired at=1s close=none",
            Trigger(at=1.0),
            {
                "code": "session_expired",
                "message": "session_expired (injected)",
                "close": None,
            },
        ),
        (
            "error code=x phase=live close=1011",
            Trigger(None, "session.ready", directions=DOWN),
            {"code": "x", "message": "x (injected)", "close": 1011},
        ),
        ("garbage at=1s", Trigger(at=1.0), {"form": None}),
        (
            "flood at=1s size=4096",
            Trigger(at=1.0),
            {"count": 1000, "size": 4096, "of": "unknown"},
        ),
    ],
)
def test_a_spec_is_parsed_into_a_trigger_and_parameters(
    spec: str, trigger: Trigger, parameters: dict[str, Any]
) -> None:
    fault = parse_fault(spec)

    assert fault.spec == spec
    assert fault.kind == spec.split()[0]
    assert fault.trigger == trigger
    assert fault.parameters == parameters


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("", "is empty", "--fault help"),
        ("dorp at=5s", "unknown kind 'dorp'", "did you mean 'drop'?"),
        ("drop", "drop needs at= or on=", "for example: drop on=reply.audio:10"),
        ("drop at", "'at' is not key=value", "did you mean 'at'?"),
        ("drop at=soon", "at='soon' is not a duration", "--fault help"),
        ("drop on=tool.cal", "on='tool.cal' is not a message type", "'tool.call'"),
        ("drop on=tool.call:0", "is not a number from 1", "--fault help"),
        ("drop on=tool.call:²", "is not a number from 1", "--fault help"),
        ("drop at=1s at=2s", "'at' is given twice", "--fault help"),
        ("drop at=1s on=tool.call", "exclude each other", "--fault help"),
        ("drop at=1s form=text", "drop does not take 'form'", "it takes how, at, on"),
        ("drop at=1s evry=2s", "drop does not take 'evry'", "did you mean 'every'?"),
        ("drop at=1s every=2", "every= is a duration with at=", "--fault help"),
        ("drop at=1s every=1ms", "at least 100ms", "--fault help"),
        ("drop on=tool.call every=2s", "every= is a number with on=", "--fault"),
        ("drop at=1s times=2", "times= needs every=", "--fault help"),
        ("drop at=1s chance=0", "is not a probability", "--fault help"),
        ("drop at=1s chance=1.1", "is not a probability", "--fault help"),
        ("close at=1s", "close needs code=", "for example: close code=1011"),
        ("close at=1s code=1006", "use drop for 1006", "--fault"),
        ("outage at=1s for=0s", "is not longer than 0s", "--fault help"),
        ("refuse status=200", "is not a number from 300 to 599", "--fault help"),
        ("slow by=1s direction=sideways", "is not one of up, down", "--fault"),
        ("lose", "lose needs on=", "for example: lose on=tool.result"),
        ("lose at=1s", "lose does not take 'at'", "it takes on"),
        ("lose on=tool.call direction=up", "tool.call only goes down", "--fault"),
        (
            "error code=x at=1s phase=live",
            "phase= replaces at= and on=",
            "--fault help",
        ),
        ("error code=x", "error needs at= or on=", "for example: error"),
        ("error code='no way' at=1s", "is not a code of session.error", "--fault"),
        ("garbage at=1s form=txt", "form='txt' is not one of", "mean 'text'?"),
        ("flood at=1s of=copies", "of=copies needs on=", "--fault help"),
        ("flood on=input.audio of=copies", "of=copies needs on=", "--fault help"),
        ("flood at=1s count=99999999", "is not a number", "--fault help"),
        ("error code=x at=1s message='a", "is not closed", "--fault help"),
    ],
)
def test_the_error_of_an_invalid_spec_quotes_it_and_suggests_a_value(
    spec: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_fault(spec)

    assert caught.value.message.startswith(f"fault '{spec}': ")
    assert message in caught.value.message
    assert caught.value.hint is not None
    assert hint in caught.value.hint
    assert "--fault help lists them" in caught.value.hint


WORDS = st.sampled_from(
    [
        *KINDS,
        *[f"{name}=" for kind in KINDS.values() for name in kind.parameters],
        *[
            "5s",
            "1",
            "0.5",
            "tool.call",
            ":",
            "*",
            "=",
            " ",
            "'",
            "\\",
            "\0",
            "²",
            "−1",
        ],
    ]
)


@given(st.lists(WORDS | st.text(max_size=5), max_size=8).map("".join))
def test_any_text_is_a_fault_or_a_usage_error(spec: str) -> None:
    try:
        assert parse_fault(spec).spec == spec
    except UsageError as error:
        assert error.hint


@ALL
def test_every_example_of_the_help_parses(kind: FaultKind) -> None:
    assert parse_fault(kind.example).spec == kind.example
    assert kind.example in describe_faults()


@ALL
def test_the_help_contains_every_kind_and_parameter(kind: FaultKind) -> None:
    text = describe_faults()

    assert f"{kind.name}: {kind.summary}" in text
    for name, parameter in kind.parameters.items():
        assert f"\n{name}=" in text
        assert parameter.meaning in text


def test_the_help_fits_a_terminal() -> None:
    assert max(map(len, describe_faults().splitlines())) <= 88


@ALL
def test_defaults_belong_to_parameters_of_the_kind(kind: FaultKind) -> None:
    assert kind.defaults.keys() <= kind.parameters.keys()


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
def test_an_error_closes_the_connection_as_the_service_would(
    spec: str, close: int | None
) -> None:
    assert parse_fault(spec).parameters["close"] == close


def write(folder: Path, text: str) -> str:
    path = folder / "faults.yaml"
    path.write_text(text, "utf-8")
    return str(path)


def test_specs_and_files_are_read_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path, "- drop on=tool.call:2  # the second\n- 'lose on=*'\n")

    faults = load_faults(["drop at=1s", path, "drop at=2s"])

    assert [fault.spec for fault in faults] == [
        "drop at=1s",
        "drop on=tool.call:2",
        "lose on=*",
        "drop at=2s",
    ]


def test_an_empty_list_contains_no_faults(tmp_path: Path) -> None:
    assert load_faults([write(tmp_path, "[]\n")]) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "- drop at=1s\n\n- dorp at=1s\n",
            ":3: fault 'dorp at=1s': unknown kind 'dorp'",
        ),
        ("- drop at=1s\n- drop: {at: 1s}\n", ":2: a fault is written as text"),
        ("drop at=1s\n", " is not a list of faults"),
    ],
)
def test_an_error_in_a_file_names_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_faults([path])

    assert caught.value.message.startswith(f"{path}{message}")
    assert caught.value.hint


@pytest.mark.parametrize("text", ["- [\n", ""])
def test_a_file_that_is_not_yaml_has_diagnostics(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_faults([write(tmp_path, text)])

    assert caught.value.diagnostics


def test_a_file_that_is_not_text_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "faults.yml"
    path.write_bytes(b"- \xff\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_faults([str(path)])


def test_a_missing_file_is_an_error() -> None:
    with pytest.raises(FileUnreadable, match="does not exist"):
        load_faults(["nowhere.yaml"])
