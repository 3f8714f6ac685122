"""A report in which everything happens once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runner.testing.results import (
    AgentCoverage,
    CallSeen,
    Failure,
    Report,
    ScenarioResult,
    Status,
)
from runner.testing.scenarios.model import Place
from tests.testing.builders import ORDER, scenario

FILE = Path("shop.test.yaml")
TEXT = """\
agent: shop.yaml
scenarios:
  - name: looks up an order
    turns:
      - user: Where is my order 1234?
      - agent: shipped
"""


def result(name: str, status: Status, **others: object) -> ScenarioResult:
    tried = replace(
        scenario(Path("shop.yaml"), ORDER), name=name, place=Place(FILE, 3, 5)
    )
    found = ScenarioResult(tried, "script", status, seconds=4.5)
    return replace(found, **others)  # type: ignore[arg-type]  # whatever a test sets


FAILED = result(
    "looks up an order",
    Status.FAILED,
    failure=Failure(
        Place(FILE, 6, 9), "the agent says shipped", "“Lost\x1b[2J, <sorry>”"
    ),
    said=(("caller", "Where is my order 1234?"), ("agent", "Lost | sorry: 100%")),
    calls=(
        CallSeen("lookup_order", {"order_id": "1234"}, '{"status":"lost"}', False, 0.5),
    ),
    waits=(0.5,),
    recording=Path(".vagent/recordings/shop-3-looks-up-an-order"),
    left_out=("judge: polite",),
)
ERROR = result("calls a URL", Status.ERROR, error="lookup_order is not mocked\nmock it")
SKIPPED = result("hears noise # 1", Status.SKIPPED, error="it is for local")
PASSED = result("greets", Status.PASSED, ended_by="agent")
TWICE = replace(FAILED, run=2, seed=2)
AGAIN = replace(
    FAILED, status=Status.PASSED, failure=None, run=1, recording=None, seed=1
)
COVERAGE = AgentCoverage(
    Path("shop.yaml"),
    {"lookup_order": 2, "end_call": 0},
    {"company": 0},
    {"greeting": 0, "reply": 1, "tool": 0},
    {"agent": 1, "caller": 3, "service": 0},
)
REPORT = Report((FAILED, AGAIN, TWICE, ERROR, SKIPPED, PASSED), Path(), (COVERAGE,))
