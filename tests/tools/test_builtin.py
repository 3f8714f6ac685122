from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.config.model import AgentConfig, ToolConfig
from runner.tools.plugins import PluginKind
from runner.tools.registry import ToolRegistry

AGENT = AgentConfig(path=Path("agent.yaml"), version=1, name="x", prompt="x")


def registry() -> ToolRegistry:
    kind = PluginKind()
    return ToolRegistry(
        [
            kind.load(ToolConfig(kind="plugin", settings=name), AGENT)
            for name in ("end_call", "current_time")
        ]
    )


async def test_end_call_returns_that_the_call_ended() -> None:
    tools = registry()

    end_call, _ = tools.definitions()
    assert end_call.effect == "terminal"
    assert (await tools.run("end_call", {})).text == '{"ended":true}'


async def test_current_time_returns_the_time_of_a_zone() -> None:
    before = datetime.now(UTC).replace(second=0, microsecond=0)
    outcome = await registry().run("current_time", {"timezone": "Asia/Kathmandu"})
    after = datetime.now(UTC)

    told = json.loads(outcome.text)
    shifted = datetime.fromisoformat(f"{told['date']}T{told['time']}+05:45")
    assert before <= shifted <= after
    assert told["weekday"] == shifted.strftime("%A")
    assert told["timezone"] == "Asia/Kathmandu"


async def test_current_time_returns_local_time_by_default() -> None:
    before = datetime.now() - timedelta(minutes=1)
    told = json.loads((await registry().run("current_time", {})).text)

    assert datetime.fromisoformat(f"{told['date']}T{told['time']}") >= before


@pytest.mark.parametrize("zone", ["Mars/Base", "../../etc/passwd", "", "Europe", "\0"])
async def test_an_unknown_zone_is_an_error(zone: str) -> None:
    outcome = await registry().run("current_time", {"timezone": zone})

    assert outcome.is_error
    assert "there is no time zone" in outcome.text
