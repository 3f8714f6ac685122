from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runner.cli.reports.github import write_github
from runner.config.lint.results import gather
from tests.cli.reports.findings_samples import ROOT, samples


def test_no_path_and_no_message_can_begin_another_command() -> None:
    file = samples().files[0]
    found = replace(
        file.findings[0],
        path="a,line=9:b\n::error::%.yaml",
        message="x\r\n::set-env name=A::1",
        help="100%",
    )
    said = write_github(gather(ROOT, [replace(file, findings=(found,))], []))
    assert said.count("\n") == 1
    command, _, message = said.removeprefix("::").rstrip("\n").partition("::")
    assert command.startswith(
        "warning file=a%2Cline=9%3Ab%0A%3A%3Aerror%3A%3A%25.yaml,line=2,"
    )
    assert message.endswith("%0Ahelp: 100%25")
    assert "\r" not in message


def test_columns_are_given_within_one_line_only() -> None:
    said = write_github(samples()).splitlines()
    assert "col=8,endColumn=" not in said[3] and "endLine=2" in said[3]
    assert all(",col=" in each for each in said[:3])


def test_paths_are_spelled_from_the_folder(tmp_path: Path) -> None:
    file = samples().files[0]
    found = replace(file.findings[0], path=str(tmp_path / "b" / "a.yaml"))
    said = write_github(gather(tmp_path, [replace(file, findings=(found,))], []))
    assert said.startswith("::warning file=b/a.yaml,")
