"""Agents tested like code: a scripted service, virtual time, scenarios run on them.

    from runner.testing import returns, vagent_session, virtual_time

    @virtual_time
    async def test_an_order_is_looked_up():
        mock = {"lookup_order": returns({"status": "shipped"})}
        async with vagent_session("agents/support.yaml", mock=mock) as call:
            answer = await call.user("Where is my order 1 2 3 4?")
        assert "shipped" in answer
        assert call.tool("lookup_order").arguments == {"order_id": "1234"}

Everything that is named in `__all__` stays as it is between minor versions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.scenarios.model import LlmRule, MockAnswer
    from runner.testing.call import CallUnderTest, Ending, NeverHappened
    from runner.testing.clock import VirtualTimeLoop, run_virtually
    from runner.testing.execution import Wishes, try_out
    from runner.testing.mind import ScriptedBrain
    from runner.testing.python import raises, returns, vagent_session, virtual_time
    from runner.testing.results import CallSeen, Failure, ScenarioResult, Status
    from runner.testing.script import ScriptedService

__all__ = [
    "LlmRule",
    "CallSeen",
    "CallUnderTest",
    "Ending",
    "Failure",
    "MockAnswer",
    "NeverHappened",
    "ScenarioResult",
    "ScriptedBrain",
    "ScriptedService",
    "Status",
    "VirtualTimeLoop",
    "Wishes",
    "raises",
    "returns",
    "run_virtually",
    "try_out",
    "vagent_session",
    "virtual_time",
]

# Loaded when asked for: who only reads results should not load an engine.
_HOMES = {
    "runner.scenarios.model": ("LlmRule", "MockAnswer"),
    "runner.testing.call": ("CallUnderTest", "Ending", "NeverHappened"),
    "runner.testing.execution": ("Wishes", "try_out"),
    "runner.testing.mind": ("ScriptedBrain",),
    "runner.testing.python": ("raises", "returns", "vagent_session", "virtual_time"),
    "runner.testing.results": ("CallSeen", "Failure", "ScenarioResult", "Status"),
    "runner.testing.script": ("ScriptedService",),
    "runner.testing.clock": ("VirtualTimeLoop", "run_virtually"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
