"""Which agent file a path of the command line means."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.files import find_agents, resolve_agent
from runner.errors import FileUnreadable, UsageError

AGENT = "version: 1\nname: a\nprompt: You help.\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "vet.yaml").write_text(AGENT, "utf-8")
    (tmp_path / "agents" / "vet.test.yaml").write_text("scenarios: []\n", "utf-8")
    (tmp_path / "agents" / "other.yaml").write_text("services: {}\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_is_itself(folder: Path) -> None:
    path = folder / "agents" / "vet.yaml"
    assert resolve_agent(path) == path
    assert resolve_agent(folder / "agents" / "other.yaml").name == "other.yaml"


def test_a_folder_is_its_only_agent(folder: Path) -> None:
    assert resolve_agent(Path("agents")) == Path("agents/vet.yaml")
    assert [each.name for each in find_agents(folder / "agents")] == ["vet.yaml"]


def test_of_several_agents_one_must_be_named(folder: Path) -> None:
    (folder / "agents" / "pet.yaml").write_text(AGENT, "utf-8")
    with pytest.raises(UsageError, match="a folder with 2 agent files") as caught:
        resolve_agent(Path("agents"))
    hint = (caught.value.hint or "").replace("\\", "/")
    assert hint == "name one of them: agents/pet.yaml, agents/vet.yaml"


def test_a_folder_without_agents_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without agent files"):
        resolve_agent(tmp_path)


@pytest.mark.parametrize("given", ["vet", "vet.yaml", "agents/vett.yaml", "vte", "VET"])
def test_a_wrong_path_gets_the_nearest_agent(folder: Path, given: str) -> None:
    with pytest.raises(FileUnreadable, match="does not exist") as caught:
        resolve_agent(Path(given))
    hint = (caught.value.hint or "").replace("\\", "/")
    assert hint == "did you mean agents/vet.yaml?"


def test_a_path_that_resembles_no_agent_gets_all_of_them(folder: Path) -> None:
    with pytest.raises(FileUnreadable) as caught:
        resolve_agent(Path("banking.yaml"))
    hint = (caught.value.hint or "").replace("\\", "/")
    assert hint == "the agents here: agents/vet.yaml"


def test_without_agents_there_is_no_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileUnreadable) as caught:
        resolve_agent(tmp_path / "nowhere" / "a.yaml")
    assert caught.value.hint is None
