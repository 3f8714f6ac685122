"""Scenarios made in Python, and an agent file for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runner.testing import ScenarioResult, TestOptions, run_scenario
from runner.testing.scenarios.model import (
    AgentTurn,
    ConnectionTurn,
    EndTurn,
    ExpectTurn,
    MockAnswer,
    Place,
    Scenario,
    ToolCallTurn,
    Turn,
    UserTurn,
    WaitTurn,
    read_pattern,
)

PLACE = Path("orders.test.yaml")
AGENT = """\
version: 1
name: orders
prompt: You tell callers where their orders are.
greeting: Hello, how can I help?
turn_detection: {interruption_delay: 300ms}
tools:
  - name: lookup_order
    description: Look up the state of an order by its number.
    parameters:
      type: object
      properties:
        order_id: {type: string, pattern: "[0-9]{4}", description: The number}
      required: [order_id]
    http: {url: "https://orders.example/{order_id}"}
    timeout: 5s
  - python: tools.py:count_letters
  - python: tools.py:spell_slowly
  - plugin: end_call
"""
TOOLS = '''\
import asyncio
import time


def count_letters(word: str) -> dict[str, int]:
    """Count the letters of a word."""
    time.sleep(0.05)
    return {"letters": len(word)}


async def spell_slowly(word: str) -> str:
    """Spell a word."""
    await asyncio.sleep(0.05)
    return " ".join(word)
'''


def write_agent(folder: Path, text: str = AGENT) -> Path:
    """Write an agent file with its tools and return its path."""
    (folder / "tools.py").write_text(TOOLS, "utf-8")
    path = folder / "orders.yaml"
    path.write_text(text, "utf-8")
    return path


def at(line: int) -> Place:
    return Place(PLACE, line, 7)


def scenario(agent: Path, *turns: Turn, **others: Any) -> Scenario:
    """Return a scenario in which orders are shipped."""
    others.setdefault("mock", {"lookup_order": (returned({"status": "shipped"}),)})
    return Scenario("tried out", at(1), agent, turns, **others)


def run(agent: Path, *turns: Turn, **others: Any) -> ScenarioResult:
    """Try such a scenario on the scripted service."""
    return run_scenario(scenario(agent, *turns, **others), TestOptions())


def returned(value: Any, **others: Any) -> MockAnswer:
    return MockAnswer(returns=value, **others)


def user(words: str, *, interrupts_after: float | None = None) -> UserTurn:
    return UserTurn(at(2), words, interrupts_after)


def agent_says(*patterns: str, **others: Any) -> AgentTurn:
    return AgentTurn(at(3), tuple(read_pattern(each) for each in patterns), **others)


def agent_never_says(*patterns: str) -> AgentTurn:
    return AgentTurn(at(3), never=tuple(read_pattern(each) for each in patterns))


def called(tool: str, **others: Any) -> ToolCallTurn:
    return ToolCallTurn(at(4), tool, **others)


def expect(**claims: Any) -> ExpectTurn:
    return ExpectTurn(at(5), **claims)


def line_drops(seconds: float) -> ConnectionTurn:
    return ConnectionTurn(at(6), seconds)


def wait(seconds: float) -> WaitTurn:
    return WaitTurn(at(7), seconds)


def end(**others: Any) -> EndTurn:
    return EndTurn(at(8), **others)


ORDER = user("Where is my order 1234?")
