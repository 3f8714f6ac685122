from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.files import find_file, read_agent_text

AGENT = "version: 1\nname: a\nprompt: p\n"


@pytest.mark.parametrize(
    ("name", "text", "is_suite"),
    [
        ("a.yaml", "scenarios: []\n", True),
        ("a.yaml", "agent: b.yaml\nscenarios: 5\n", True),
        ("a.yaml", "agent: b.yaml\nscenarios:\n- name: 'open\n", True),
        ("a.yaml", AGENT, False),
        ("a.yaml", f"{AGENT}scenarios: []\n", False),
        ("a.yaml", "scenario: []\n", False),
        ("a.yaml", "- scenarios\n", False),
        ("a.test.yaml", "scenario: []\n", True),
        ("a.test.yml", "", True),
        ("a.test.yaml", AGENT, False),
    ],
)
def test_scenario_files_are_recognized_by_content_or_name(
    name: str, text: str, is_suite: bool, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    reading = read_agent_text(text.encode(), path)
    found = find_file(path)
    assert reading.is_suite is is_suite
    assert (found is not None) is (is_suite or reading.is_agent)
    assert not (reading.is_suite and reading.is_agent)
