"""Calls in tests that are written in Python, and what is public of it all."""

from __future__ import annotations

from pathlib import Path

import pytest

import runner.testing
from runner.errors import ConfigError
from runner.testing import (
    CallUnderTest,
    ExpectationNotMet,
    LlmRule,
    raises,
    returns,
    vagent_session,
    virtual_time,
)
from tests.testing.builders import write_agent

SHIPPED = {"lookup_order": returns({"status": "shipped"})}


@pytest.mark.parametrize("name", runner.testing.__all__)
def test_everything_that_is_public_is_there(name: str) -> None:
    assert getattr(runner.testing, name) is not None


def test_nothing_else_is() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        runner.testing.nothing  # noqa: B018  # the access is what is tested


@virtual_time
async def test_an_answer_is_what_the_agent_says(tmp_path: Path) -> None:
    async with vagent_session(write_agent(tmp_path), mock=SHIPPED) as call:
        answer = await call.user("Where is my order 1234?")

    assert "shipped" in answer
    assert "help" not in answer  # the greeting came before
    assert "help" in call.agent_said


@virtual_time
async def test_a_tool_that_raises_answers_with_its_error(tmp_path: Path) -> None:
    mock = {"lookup_order": raises("closed on Mondays", delay=1.0)}
    async with vagent_session(write_agent(tmp_path), mock=mock) as call:
        await call.user("Where is my order 1234?")

    seen = call.tool("lookup_order")
    assert seen.is_error
    assert seen.seconds == 1.0
    assert "closed on Mondays" in str(seen.result)


@virtual_time
async def test_an_interruption_is_seen(tmp_path: Path) -> None:
    async with vagent_session(write_agent(tmp_path), mock=SHIPPED) as call:
        await call.user("Stop", interrupts_after=0.2)

        assert len(call.observer.interruptions) == 1


@virtual_time
async def test_a_lost_line_is_resumed(tmp_path: Path) -> None:
    async with vagent_session(write_agent(tmp_path), mock=SHIPPED) as call:
        await call.agent_finished()
        call.drop_line(3.0)
        answer = await call.user("Where is my order 1234?")

    assert "shipped" in answer
    assert call.observer.resumes == 1


@virtual_time
async def test_who_ends_the_call_is_known(tmp_path: Path) -> None:
    async with vagent_session(write_agent(tmp_path), mock=SHIPPED) as call:
        await call.user("Thanks, goodbye")
        ending = await call.ended()

    assert (ending.by, ending.is_clean) == ("agent", True)


@virtual_time
async def test_a_call_that_goes_on_has_no_end(tmp_path: Path) -> None:
    async with vagent_session(write_agent(tmp_path), mock=SHIPPED) as call:
        with pytest.raises(ExpectationNotMet, match="did not end within 5 s"):
            await call.ended(within=5.0)


@virtual_time
async def test_a_brain_plays_the_agent(tmp_path: Path) -> None:
    brain = [LlmRule(says="Good question.")]
    async with vagent_session(write_agent(tmp_path), mock=SHIPPED, llm=brain) as call:
        assert await call.user("Why?") == "Good question."


@virtual_time
async def test_an_agent_with_findings_cannot_be_called(tmp_path: Path) -> None:
    path = write_agent(tmp_path, "version: 1\n")
    with pytest.raises(ConfigError):
        async with vagent_session(path):
            pass


def test_a_call_is_typed() -> None:
    assert CallUnderTest.user.__annotations__["return"] == "str"
    assert (Path(runner.testing.__file__).parents[1] / "py.typed").is_file()
