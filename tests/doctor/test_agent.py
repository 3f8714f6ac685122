from __future__ import annotations

from pathlib import Path

import pytest

from runner.doctor.agent import check_file, check_tools, judge_unset
from runner.doctor.findings import Finding, State
from runner.doctor.platforms import Platform
from runner.doctor.wishes import Wishes

SHIPPED = Path(__file__).parents[2] / "agents" / "support.yaml"
HEAD = "version: 1\nname: x\nprompt: Be brief.\n"


def look(
    folder: Path, text: str, **environment: str
) -> tuple[Finding, dict[str, Finding]]:
    agent = folder / "agent.yaml"
    agent.write_text(text)
    wishes = Wishes(environment, folder, agent)
    (file,) = check_file(wishes)
    return file, {each.name: each for each in check_tools(wishes)}


def test_an_agent_that_would_run_is_fine() -> None:
    wishes = Wishes({}, SHIPPED.parent, SHIPPED)
    findings = [*check_file(wishes), *check_tools(wishes)]

    assert [each.name for each in findings] == [
        "agent",
        "agent-tools",
        "agent-variables",
    ]
    assert {each.state for each in findings} == {State.OK}
    assert findings[1].detail == "3 loaded: get_weather, lookup_order, end_call"


def test_no_agent_is_no_fault(tmp_path: Path) -> None:
    (finding,) = check_file(Wishes({}, tmp_path))

    assert finding.state is State.SKIPPED
    assert list(check_tools(Wishes({}, tmp_path))) == []


def test_a_file_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    wishes = Wishes({}, tmp_path, tmp_path / "none.yaml")
    (finding,) = check_file(wishes)

    assert finding.state is State.FAILED
    assert list(check_tools(wishes)) == []


def test_findings_are_counted_as_validate_counts_them(tmp_path: Path) -> None:
    file, rest = look(tmp_path, f"{HEAD}voice: 7\nversion: 1\n")

    assert file.state is State.FAILED
    assert "agent.yaml: 2 errors, 1 warning" in file.detail
    assert file.fix == f"vagent validate {tmp_path / 'agent.yaml'}"
    assert rest["agent-tools"].state is State.SKIPPED


def test_a_tool_that_cannot_be_loaded_is_told_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text(
        "import os\n\ndef look_up(order: str) -> str:\n"
        "    '''Look an order up.'''\n    return order\n\n"
        "raise OSError('bad token ' + os.environ.get('ORDERS_TOKEN', 'abc'))\n"
    )
    text = f"{HEAD}tools:\n- name: look_up\n  python: tool.py:look_up\n"
    _, rest = look(tmp_path, text)

    assert rest["agent-tools"].state is State.FAILED
    assert "bad token" in rest["agent-tools"].detail
    assert rest["agent-tools"].fix == f"vagent tools {tmp_path / 'agent.yaml'}"


def test_what_is_not_set_names_what_sets_it(tmp_path: Path) -> None:
    text = (
        f"{HEAD}greeting: Hi from ${{company}}.\n"
        "service: {url: 'wss://${env:CITY}.example.com/ws'}\n"
        "variables:\n  company: {description: Who}\n"
    )
    _, unset = look(tmp_path, text)
    _, half = look(tmp_path, text, CITY="Tokyo")
    agent = tmp_path / "agent.yaml"

    assert unset["agent-variables"].detail == "not set: CITY, company"
    assert unset["agent-variables"].fix == (
        f"export CITY=VALUE; vagent run {agent} --var company=VALUE"
    )
    assert half["agent-variables"].detail == "not set: company"


@pytest.mark.parametrize("system", ["linux", "win32"])
def test_the_environment_is_set_as_the_shell_wants_it(system: str) -> None:
    platform = Platform(system)
    finding = judge_unset(Path("a.yaml"), ["env:CITY"], platform)

    assert finding.fix == platform.set_variable("CITY", "VALUE")
