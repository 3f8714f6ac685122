"""Agent files of git revisions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runner.errors import UsageError
from runner.testing.diff import agent_file
from tests.testing.builders import write_agent


def git(*arguments: str) -> None:
    names = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *names, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    agents = tmp_path / "agents"
    agents.mkdir()
    write_agent(agents)
    (agents / "orders.test.yaml").write_text("agent: orders.yaml\n", "utf-8")
    (tmp_path / "unrelated.bin").write_bytes(bytes(1000))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file.txt").write_text("other", "utf-8")
    if sys.platform != "win32":
        for folder in (agents, agents / "tools"):
            folder.mkdir(exist_ok=True)
            (folder / "link.py").symlink_to("/etc/hostname")
    git("add", ".")
    git("commit", "-qm", "first")
    return tmp_path


def test_only_the_files_that_the_agent_uses_are_read(repository: Path) -> None:
    with agent_file("HEAD:agents/orders.yaml") as path:
        top = path.parent.parent
        read = {each.relative_to(top).as_posix() for each in top.rglob("*")}

    assert "agents/orders.yaml" in read
    assert "agents/orders.test.yaml" in read
    assert not [each for each in read if "link" in each]
    assert not {"unrelated.bin", "other", "other/file.txt"} & read
    assert not top.exists()


@pytest.mark.parametrize(
    "text",
    ["--output=made:agents/orders.yaml", "HEAD:none.yaml", "nothing:orders.yaml"],
)
def test_what_a_revision_does_not_have_is_wrong_usage(
    text: str, repository: Path
) -> None:
    with pytest.raises(UsageError), agent_file(text):
        pass

    assert not (repository / "made").exists()
