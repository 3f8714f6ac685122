"""`vagent new` with and without a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Timer
from typing import get_type_hints

import pytest
import yaml

from runner.cli.new import new, templates
from runner.config.files import read_agent_file
from runner.config.loader import check_file
from runner.config.schema import packaged_text
from runner.errors import UsageError
from runner.testing.results import Status
from runner.testing.runner import TestOptions, run_scenario
from runner.testing.scenarios import loader
from runner.testing.scenarios.loader import check_suite, load_suite

ROOT = Path(__file__).parents[2]
PASSED = Status.PASSED
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> list[str]:
    found = (each for each in folder.rglob("*") if each.is_file())
    return sorted(each.relative_to(folder).as_posix() for each in found)


@pytest.mark.parametrize("name", templates())
def test_every_template_passes_its_own_scenarios(name: str, folder: Path) -> None:
    new(f"agents/my-{name}", template=name, yes=True)

    agent = Path("agents", f"my-{name}.yaml")
    assert check_file(agent, environment={}) == []
    tests = Path("agents", f"my-{name}.test.yaml")
    assert check_suite(read_agent_file(tests)) == []
    results = [
        run_scenario(each, TestOptions()) for each in load_suite(tests).scenarios
    ]
    failures = [str(each.failure or each.error) for each in results]
    assert [each.status for each in results if each.status is not PASSED] == [], (
        failures
    )


def test_written_files_and_next_steps_are_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new("agents/pizza", template="booking", yes=True)

    written = ["agents/pizza.yaml", "agents/pizza.test.yaml", "agents/tools/pizza.py"]
    written += ["agents/agent.schema.json", "agents/scenario.schema.json"]
    said = capsys.readouterr()
    assert said.out == "".join(f"wrote {Path(each)}\n" for each in written)
    assert "vagent validate" in said.err
    assert f"vagent test {Path('agents/pizza.test.yaml')}\n" in said.err
    assert files(folder) == sorted(written)
    agent = Path("agents/pizza.yaml").read_text("utf-8")
    assert agent.startswith("# yaml-language-server: $schema=./agent.schema.json\n")
    schema = Path("agents/agent.schema.json").read_text("utf-8")
    assert schema == packaged_text()
    schema = Path("agents/scenario.schema.json").read_text("utf-8")
    assert schema == loader.packaged_text()


def test_nothing_is_written_if_a_file_exists(folder: Path) -> None:
    Path("tools").mkdir()
    Path("tools/pizza.py").write_text("mine", "utf-8")

    with pytest.raises(UsageError, match=r"pizza\.py exists already") as refused:
        new("pizza", template="support", yes=True)

    assert "--force" in str(refused.value.hint)
    assert files(folder) == ["tools/pizza.py"]
    assert Path("tools/pizza.py").read_text("utf-8") == "mine"


def test_an_existing_agent_is_reported_before_any_question(folder: Path) -> None:
    Path("pizza.yaml").write_text("mine", "utf-8")

    code, shown = at_a_terminal("pizza", typed=b"")

    assert code == 2
    assert shown.startswith("vagent: pizza.yaml exists already")


def test_the_help_names_every_template() -> None:
    (metavar,) = (
        each.metavar
        for each in get_type_hints(new, include_extras=True)["template"].__metadata__
    )
    assert metavar.split("|") == list(templates())


def test_force_overwrites(folder: Path) -> None:
    Path("pizza.yaml").write_text("mine", "utf-8")

    new("pizza", template="blank", yes=True, force=True)

    assert "name: pizza" in Path("pizza.yaml").read_text("utf-8")


def test_a_schema_of_another_version_is_kept_and_reported(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("agent.schema.json").write_text("{}", "utf-8")

    new("pizza", template="blank", yes=True)

    assert Path("agent.schema.json").read_text("utf-8") == "{}"
    assert "to update it: vagent schema --write ." in capsys.readouterr().err


def vagent(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "runner", "new", *arguments],
        env=ENVIRONMENT,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_without_a_terminal_missing_options_are_an_error(
    folder: Path,
) -> None:
    done = vagent("pizza", stdin="booking\n")

    assert (done.returncode, done.stdout) == (2, "")
    assert "--template is missing" in done.stderr
    assert "use the defaults with --yes" in done.stderr
    assert files(folder) == []


def test_complete_options_need_no_terminal(folder: Path) -> None:
    new("pizza", template="blank", greeting="")

    assert "greeting" not in Path("pizza.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "template", "words"),
    [
        (None, None, "name of the agent is missing"),
        ("a", "shop", "unknown template 'shop'"),
    ],
)
def test_missing_or_unknown_values_are_wrong_usage(
    name: str | None, template: str | None, words: str, folder: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        new(name, template=template, yes=True)

    assert files(folder) == []


def at_a_terminal(*arguments: str, typed: bytes) -> tuple[int, str]:
    """Runs the command on its own terminal with these keys; returns its output.

    The keys wait in the terminal's buffer until they are read.
    """
    pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", "new", *arguments],
        env={**ENVIRONMENT, "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    watchdog = Timer(60, process.kill)
    watchdog.start()
    os.close(theirs)
    os.write(ours, typed)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # Linux raises it when the other end is closed
        pass
    os.close(ours)
    code = process.wait()
    watchdog.cancel()
    return code, shown.decode().replace("\r\n", "\n")


def test_a_terminal_is_asked_for_missing_values(folder: Path) -> None:
    code, shown = at_a_terminal(typed=b"bad name\npizza\nshop\nblank\n${x}\nCiao!\n")

    assert code == 0, shown
    assert "invalid agent name 'bad name'" in shown
    assert "unknown template 'shop'" in shown
    assert "Template [support]" in shown
    assert "the greeting uses '${x}'" in shown
    assert "greeting: Ciao!" in Path("pizza.yaml").read_text("utf-8")


def test_an_empty_answer_selects_the_default(folder: Path) -> None:
    code, shown = at_a_terminal("pizza", "--template", "blank", typed=b"\n")

    assert code == 0, shown
    assert "Template" not in shown
    greeting = templates()["blank"].greeting
    assert f"greeting: {greeting}" in Path("pizza.yaml").read_text("utf-8")


def test_leaving_at_a_question_writes_nothing(folder: Path) -> None:
    code, shown = at_a_terminal("pizza", typed=b"\x04")

    assert code == 130, shown
    assert files(folder) == []


def test_an_agent_of_another_tool_is_converted(tmp_path: Path) -> None:
    source = tmp_path / "vapi.json"
    source.write_text(
        '{"firstMessage": "Hi!", "model": {"messages": [\n'
        '  {"role": "system", "content": "Be brief."}]},\n'
        ' "voice": {"voiceId": "x"}}'
    )
    done = subprocess.run(
        [sys.executable, "-m", "runner", "new", str(tmp_path / "a"), "--from", source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"{source}:3: not converted: voice: " in done.stdout
    text = (tmp_path / "a.yaml").read_text("utf-8")
    assert text.startswith("# yaml-language-server: $schema=./agent.schema.json\n")
    assert text.endswith('name: a\nprompt: Be brief.\ngreeting: "Hi!"\n')


def test_a_file_of_no_known_format_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "other.json"
    source.write_text("{}")
    done = subprocess.run(
        [sys.executable, "-m", "runner", "new", "a", "--from", str(source)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "is not an agent of a known format\n  hint: " in done.stderr
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"firstMessage": "Hi!",\n "model": ', "it.json:2:"),
        (b"\xff\xfe\x00binary", "it.json:1:1: error: "),
    ],
)
def test_an_unreadable_file_to_convert_is_reported_with_its_position(
    tmp_path: Path, content: bytes, place: str
) -> None:
    (tmp_path / "it.json").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "runner", "new", "a", "--from", "it.json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(place), done.stderr
    assert "vagent: it.json is not valid YAML or JSON" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["it.json"]


def test_a_workflow_validates_and_tests_the_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new("my agents/pizza", yes=True, ci="github")

    workflow = folder / ".github" / "workflows" / "agents.yml"
    content = yaml.safe_load(workflow.read_text("utf-8"))
    steps = content["jobs"]["agents"]["steps"]
    assert steps[2]["with"]["paths"] == "my agents"
    assert steps[3]["run"] == "\"$VAGENT\" test 'my agents' --format github"
    assert "agents.yml" in capsys.readouterr().out


def test_an_existing_workflow_is_kept(folder: Path) -> None:
    new("agents/pizza", yes=True, ci="github")
    before = files(folder)
    with pytest.raises(UsageError, match=r"agents.yml exists already"):
        new("agents/pasta", yes=True, ci="github")
    assert files(folder) == before


def test_an_unknown_ci_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="unknown --ci"):
        new("agents/pizza", yes=True, ci="jenkins")
    assert files(folder) == []


def test_older_agents_without_a_modeline_are_mentioned(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "agents").mkdir()
    (folder / "agents" / "old.yaml").write_text(
        "version: 1\nname: old\nprompt: You help.\n", "utf-8"
    )
    new("agents/pizza", yes=True)
    shown = capsys.readouterr().err
    assert "1 older file here after: vagent validate --fix agents" in shown
