from __future__ import annotations

from pathlib import Path

import pytest

from runner.cli.doctor_checks.agent import check_file, check_tools, judge_unset
from runner.cli.doctor_checks.model import CheckResult, DoctorOptions, Platform, State

SHIPPED = Path(__file__).parents[3] / "agents" / "support.yaml"
HEAD = "version: 1\nname: x\nprompt: Be brief.\n"


def check(
    folder: Path, text: str, **environment: str
) -> tuple[CheckResult, dict[str, CheckResult]]:
    agent = folder / "agent.yaml"
    agent.write_text(text)
    options = DoctorOptions(environment, folder, agent)
    (file,) = check_file(options)
    return file, {each.name: each for each in check_tools(options)}


def test_a_valid_agent_passes() -> None:
    options = DoctorOptions({}, SHIPPED.parent, SHIPPED)
    results = [*check_file(options), *check_tools(options)]

    assert [each.name for each in results] == [
        "agent",
        "agent-tools",
        "agent-variables",
    ]
    assert {each.state for each in results} == {State.OK}
    assert results[1].detail == "3 loaded: get_weather, lookup_order, end_call"


def test_no_agent_is_not_a_failure(tmp_path: Path) -> None:
    (result,) = check_file(DoctorOptions({}, tmp_path))

    assert result.state is State.SKIPPED
    assert list(check_tools(DoctorOptions({}, tmp_path))) == []


def test_a_missing_file_is_reported_once(tmp_path: Path) -> None:
    options = DoctorOptions({}, tmp_path, tmp_path / "none.yaml")
    (result,) = check_file(options)

    assert result.state is State.FAILED
    assert list(check_tools(options)) == []


def test_findings_are_counted_as_validate_counts_them(tmp_path: Path) -> None:
    file, rest = check(tmp_path, f"{HEAD}voice: 7\nversion: 1\n")

    assert file.state is State.FAILED
    assert "agent.yaml: 2 errors, 1 warning" in file.detail
    assert file.fix == f"vagent validate {tmp_path / 'agent.yaml'}"
    assert rest["agent-tools"].state is State.SKIPPED


def test_a_tool_that_cannot_be_loaded_fails(tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text(
        "import os\n\ndef look_up(order: str) -> str:\n"
        "    '''Look an order up.'''\n    return order\n\n"
        "raise OSError('bad token ' + os.environ.get('ORDERS_TOKEN', 'abc'))\n"
    )
    text = f"{HEAD}tools:\n- name: look_up\n  python: tool.py:look_up\n"
    _, rest = check(tmp_path, text)

    assert rest["agent-tools"].state is State.FAILED
    assert "bad token" in rest["agent-tools"].detail
    assert rest["agent-tools"].fix == f"vagent tools {tmp_path / 'agent.yaml'}"


def test_unset_variables_have_the_commands_that_set_them(tmp_path: Path) -> None:
    text = (
        f"{HEAD}greeting: Hi from ${{company}}.\n"
        "service: {url: 'wss://${env:CITY}.example.com/ws'}\n"
        "variables:\n  company: {description: Who}\n"
    )
    _, unset = check(tmp_path, text)
    _, half = check(tmp_path, text, CITY="Tokyo")
    agent = tmp_path / "agent.yaml"

    assert unset["agent-variables"].detail == "not set: CITY, company"
    assert unset["agent-variables"].fix == (
        f"export CITY=VALUE; vagent run {agent} --var company=VALUE"
    )
    assert half["agent-variables"].detail == "not set: company"


@pytest.mark.parametrize("system", ["linux", "win32"])
def test_environment_variables_are_set_in_the_syntax_of_the_shell(system: str) -> None:
    platform = Platform(system)
    result = judge_unset(Path("a.yaml"), ["env:CITY"], platform)

    assert result.fix == platform.set_variable("CITY", "VALUE")
