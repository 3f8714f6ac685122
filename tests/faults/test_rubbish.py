"""Types of messages, and what is none."""

from __future__ import annotations

import json
from random import Random

import pytest

from runner.errors import RemoteProtocolError
from runner.faults.fault import Flood, Garbage
from runner.faults.keys import FORMS
from runner.faults.rubbish import flood, garbage, type_of
from runner.protocol.codec import decode_server
from runner.protocol.messages import Unknown


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ('{"type":"tool.call","call_id":"x"}', "tool.call"),
        ('{"call_id": "x", "type": "tool.call"}', "tool.call"),
        ('{"type": "dance"}', "dance"),
        ('{"type": 7}', ""),
        ("[1]", ""),
        ("{", ""),
        ("[" * 100_000, ""),
        (b'{"type":"tool.call"}', ""),
    ],
)
def test_a_type_is_read_however_it_is_written(data: str | bytes, kind: str) -> None:
    assert type_of(data) == kind


@pytest.mark.parametrize("form", [form for form in FORMS if form != "untyped"])
def test_garbage_cannot_be_read(form: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_server(garbage(Garbage(form), Random(0)))


def test_garbage_of_no_form_is_of_any() -> None:
    lots = Random(0)

    assert len({garbage(Garbage(None), lots) for _ in range(200)}) == len(FORMS)


def test_a_flood_is_of_a_type_that_nobody_knows() -> None:
    messages = flood(Flood(3, 4096, copies=False), None)

    assert [len(str(message)) for message in messages] == [4096] * 3
    assert isinstance(decode_server(messages[0]), Unknown)
    assert json.loads(flood(Flood(1, 0, copies=False), None)[0])


def test_copies_are_those_of_the_message() -> None:
    assert flood(Flood(2, 0, copies=True), "x") == ["x", "x"]
