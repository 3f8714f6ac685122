"""Tests for agents: a scripted service, virtual time and scenario files.

    from runner.testing import returns, vagent_session, virtual_time

    @virtual_time
    async def test_an_order_is_looked_up():
        mock = {"lookup_order": returns({"status": "shipped"})}
        async with vagent_session("agents/support.yaml", mock=mock) as call:
            answer = await call.user("Where is my order 1 2 3 4?")
        assert "shipped" in answer
        assert call.tool("lookup_order").arguments == {"order_id": "1234"}

Names in `__all__` do not change between minor versions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.testing.call import CallEnd, CallUnderTest, ExpectationNotMet
    from runner.testing.python_api import raises, returns, vagent_session, virtual_time
    from runner.testing.results import CallSeen, Failure, ScenarioResult, Status
    from runner.testing.runner import TestOptions, run_scenario
    from runner.testing.scenarios.model import LlmRule, MockAnswer
    from runner.testing.scripted_service import ScriptedModel, ScriptedService
    from runner.testing.virtual_clock import VirtualTimeLoop, run_virtually

__all__ = [
    "LlmRule",
    "CallSeen",
    "CallUnderTest",
    "CallEnd",
    "Failure",
    "MockAnswer",
    "ExpectationNotMet",
    "ScenarioResult",
    "ScriptedModel",
    "ScriptedService",
    "Status",
    "VirtualTimeLoop",
    "TestOptions",
    "raises",
    "returns",
    "run_virtually",
    "run_scenario",
    "vagent_session",
    "virtual_time",
]

# Imported on first access: code that only reads results loads no engine.
_MODULES = {
    "runner.testing.scenarios.model": ("LlmRule", "MockAnswer"),
    "runner.testing.call": ("CallUnderTest", "CallEnd", "ExpectationNotMet"),
    "runner.testing.runner": ("TestOptions", "run_scenario"),
    "runner.testing.python_api": (
        "raises",
        "returns",
        "vagent_session",
        "virtual_time",
    ),
    "runner.testing.results": ("CallSeen", "Failure", "ScenarioResult", "Status"),
    "runner.testing.scripted_service": ("ScriptedModel", "ScriptedService"),
    "runner.testing.virtual_clock": ("VirtualTimeLoop", "run_virtually"),
}


def __getattr__(name: str) -> Any:
    for home, names in _MODULES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
