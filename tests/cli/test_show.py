"""`vagent show`: formats, exit codes and messages."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from runner.cli.show import show
from runner.config.source import Source
from runner.config.yaml.parser import parse_document
from runner.errors import ConfigError, FileUnreadable, UsageError
from runner.recording.format import InvalidRecording
from tests.recording.samples import SampleCall, write_order_call

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "show"
AGENT = """\
version: 1
name: shop
prompt: You are ${company}.
variables: {company: {description: Whose shop}}
tools:
  - name: look/up
    python: tools/sums.py:add
local: {llm: {url: "http://127.0.0.1:1/v1", key: "${env:SHOP_BRAIN_KEY}"}}
"""


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder without a .env file and keys of this machine."""
    monkeypatch.chdir(tmp_path)
    for name in ("ASSEMBLYAI_API_KEY", "SHOP_BRAIN_KEY", "VAGENT_SERVICE_KEY"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(
        ROOT / "agents", "agents", ignore=shutil.ignore_patterns("__pycache__")
    )


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/sums.py").write_text("def add(one: int) -> int:\n  return one\n")
    path = tmp_path / "agent.yaml"
    path.write_text(AGENT.replace("look/up", "look_up"))
    return path


def invoke(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(show)
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.mark.parametrize("format", ["yaml", "json", "wire"])
def test_the_support_agent_is_shown_word_for_word(format: str) -> None:
    """UPDATE_GOLDEN=1 writes the golden file; review the difference."""
    done = invoke("agents/support.yaml", "--format", format)
    expected = GOLDEN / f"support.{format}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_bytes(done.stdout.encode())
    assert done.exit_code == 0, done
    assert done.stdout == expected.read_bytes().decode()


def test_yaml_and_json_have_the_same_values(agent: Path) -> None:
    report = json.loads(invoke(agent, "--format", "json").stdout)
    text = invoke(agent).stdout
    document, found = parse_document(Source("shown.yaml", text))
    assert document is not None, found
    assert document.value == without_empty(report["agent"])


def without_empty(value: object) -> object:
    """Removes keys without a value, as the YAML does."""
    if isinstance(value, dict):
        kept = {key: without_empty(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each not in (None, {})} or {}
    return [without_empty(each) for each in value] if isinstance(value, list) else value


def test_each_value_of_the_json_has_its_origin_under_its_pointer(agent: Path) -> None:
    report = json.loads(invoke(agent, "--format", "json", "--var", "company=A").stdout)
    assert report["type"] == "vagent.show"
    assert report["origins"]["/prompt"] == {
        "kind": "file",
        "line": 3,
        "column": 9,
        "uses": [{"name": "company", "kind": "given"}],
    }
    for pointer in report["origins"]:
        value = report["agent"]
        for part in pointer.split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            value = value[int(part)] if isinstance(value, list) else value[part]
        assert not isinstance(value, dict) or not value


def test_unset_variables_are_reported_and_are_not_an_error(agent: Path) -> None:
    done = invoke(agent)
    assert done.exit_code == 0
    assert done.stderr.splitlines() == [
        "vagent: ${company} is not set, so calls cannot start",
        "vagent: ${env:SHOP_BRAIN_KEY} is not set, so calls cannot start",
    ]
    assert "${env:SHOP_BRAIN_KEY}: not set" in done.stdout


def test_a_value_from_dotenv_is_not_shown(agent: Path) -> None:
    Path(".env").write_text("SHOP_BRAIN_KEY=four-horses\n")
    done = invoke(agent, "--var", "company=four-horses & sons")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "four-horses" not in done.stdout
    assert "${env:SHOP_BRAIN_KEY}: set, not shown" in done.stdout


@pytest.mark.parametrize("format", ["yaml", "json", "wire"])
def test_a_tool_that_cannot_be_loaded_exits_with_1(agent: Path, format: str) -> None:
    Path("tools/sums.py").write_text("import no_such_package\n\n\ndef add(): ...\n")
    done = invoke(agent, "--format", format)
    assert done.exit_code == 1
    assert "no module named 'no_such_package'" in done.stderr
    assert ("no_such_package" in done.stdout) is (format != "wire")


def test_a_file_with_findings_exits_with_1(agent: Path) -> None:
    agent.write_text(AGENT)
    done = invoke(agent)
    assert isinstance(done.exception, ConfigError)
    assert (done.exception.exit_code, done.stdout) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["agents/support.yaml", "--format", "xml"], "unknown format 'xml'"),
        (["agents/support.yaml", "--var", "x"], "invalid --var 'x'"),
        (["agents/support.yaml", "--var", "x=1"], "does not declare the variable 'x'"),
        (["agents"], "'agents' is a folder, not an agent file"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], words: str) -> None:
    done = invoke(*arguments)
    assert isinstance(done.exception, UsageError)
    assert words in done.exception.message
    assert done.exception.exit_code == 2


def test_a_missing_file_exits_with_3() -> None:
    done = invoke("nowhere.yaml")
    assert isinstance(done.exception, FileUnreadable)
    assert done.exception.exit_code == 3


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_order_call(tmp_path_factory.mktemp("calls") / "order")


@pytest.mark.parametrize("columns", [100, 40])
def test_a_call_is_shown_on_one_page(
    call: Path, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UPDATE_GOLDEN=1 writes the golden file; review the difference."""
    monkeypatch.setenv("COLUMNS", str(columns))
    done = invoke(call)
    expected = GOLDEN / f"call.{columns}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_bytes(done.stdout.encode())
    assert done.exit_code == 0, done
    assert done.stdout == expected.read_bytes().decode()
    assert max(map(len, done.stdout.splitlines())) <= columns


def test_a_call_without_audio_is_drawn_from_its_turns(
    call: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(call, tmp_path / "silent", ignore=_wavs)
    done = invoke(copy)
    assert "from messages: the recording has no audio" in done.stdout
    lanes = done.stdout.splitlines()[3:5]
    assert [lane[:8].strip() for lane in lanes] == ["caller", "agent"]
    assert all("▅▅" in lane for lane in lanes)


def _wavs(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(".wav")]


def test_a_call_with_damaged_audio_is_shown_without_it(
    call: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(call, tmp_path / "broken")
    (copy / "agent.wav").write_bytes(b"nothing")
    done = invoke(copy)
    assert done.exit_code == 0
    assert "agent.wav' cannot be read" in done.stderr
    assert "has no audio" in done.stdout


def test_control_characters_in_transcripts_are_escaped(call: Path) -> None:
    for arguments in ((), ("--format", "json")):
        done = invoke(call, *arguments)
        shown = done.stdout.replace("\n", "")
        assert shown.isprintable()
        assert "alert(1)" in shown


def test_the_json_of_a_call_has_its_timeline(call: Path) -> None:
    report = json.loads(invoke(call, "--format", "json").stdout)

    assert report["type"] == "vagent.show.recording"
    assert report["agent"]["name"] == "support"
    assert report["turns"][1]["text"] == "Where is my order one two three four?"
    assert report["tools"][0]["arguments"] == {"order_id": "1234"}
    assert report["totals"]["interruptions"] == 1
    assert report["totals"]["median_latency"] == 0.85
    assert report["ending"] == {
        "at": 24.85,
        "outcome": "clean",
        "reason": "you hung up",
    }


def test_an_ascii_terminal_gets_ascii_lanes(
    call: Path,
) -> None:
    from runner.cli.recordings.terminal import make_console, render_call
    from runner.observers.timeline import trace
    from runner.recording.audio_tracks import read_voices
    from runner.recording.reader import read_recording

    recording, voices = read_recording(call), read_voices(call)
    line = trace(recording.entries, voices)
    console = make_console(io.TextIOWrapper(io.BytesIO(), encoding="ascii"), 60)

    assert render_call(console, recording, line, voices).isascii()


@pytest.mark.parametrize("is_plain", [True, False])
def test_colors_are_written_only_to_terminals_without_no_color(
    call: Path, is_plain: bool
) -> None:
    from runner.cli.recordings.terminal import render_call
    from runner.observers.timeline import trace
    from runner.recording.reader import read_recording

    recording = read_recording(call)
    surroundings = {"TERM": "xterm", "NO_COLOR": "1" if is_plain else ""}
    console = Console(
        file=io.StringIO(), force_terminal=True, width=80, _environ=surroundings
    )
    text = render_call(console, recording, trace(recording.entries), None)
    assert ("\x1b[36m" in text) is not is_plain


def test_a_folder_of_calls_is_a_list_with_the_newest_last(
    call: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "calls"
    shutil.copytree(call, folder / "b", ignore=_wavs)
    shutil.copytree(call, folder / "a", ignore=_wavs)
    later = (
        (folder / "a/session.jsonl").read_text().replace("T14:05:09", "T15:00:00", 1)
    )
    (folder / "a/session.jsonl").write_text(later, newline="\n")
    (folder / "c").mkdir()
    (folder / "c/session.jsonl").write_text("{")

    done = invoke(folder)
    assert [line.split("  ")[:5] for line in done.stdout.splitlines()] == [
        ["2026-01-31 14:05:09", "support", "24.9 s", "11 turns", "you hung up"],
        ["2026-01-31 15:00:00", "support", "24.9 s", "11 turns", "you hung up"],
    ]
    assert "incomplete or damaged" in done.stderr
    listed = json.loads(invoke(folder, "--format", "json").stdout)
    assert [Path(each["folder"]).name for each in listed] == ["b", "a"]


def test_a_truncated_recording_is_shown_and_marked(tmp_path: Path) -> None:
    sample = SampleCall(tmp_path / "cut")
    sample.open()
    sample.reply("Hi there.")
    sample.end()
    path = tmp_path / "cut/session.jsonl"
    path.write_bytes(path.read_bytes()[:-200])
    done = invoke(path)
    assert done.exit_code == 0
    assert "the recording was cut short" in done.stdout
    assert "Hi there." in done.stdout


def test_an_unreadable_recording_exits_with_3(
    tmp_path: Path,
) -> None:
    (tmp_path / "session.jsonl").write_text('{"type": "other"}\n')
    done = invoke(tmp_path)
    assert isinstance(done.exception, InvalidRecording)
    assert done.exception.exit_code == 3
    assert isinstance(invoke("nowhere/session.jsonl").exception, FileUnreadable)


def test_html_is_written_to_a_file_or_to_stdout(call: Path, tmp_path: Path) -> None:
    done = invoke(call, "--html", tmp_path / "new/call.html")
    assert (done.exit_code, done.stdout) == (0, "")
    page = (tmp_path / "new/call.html").read_bytes()
    assert page.startswith(b"<!doctype html>")
    assert invoke(call, "--html", "-").stdout_bytes == page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["order", "--format", "wire"], "unknown format 'wire' for recordings"),
        (["order", "--var", "a=b"], "--var needs an agent file"),
        ([".", "--html", "x.html"], "--html shows one call"),
        (["agents/support.yaml", "--html", "x.html"], "is an agent file"),
        (["agents/support.yaml", "--format", "text"], "unknown format 'text'"),
    ],
)
def test_contradictory_options_are_wrong_usage(
    call: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    shutil.copytree(call, tmp_path / "order", ignore=_wavs)
    done = invoke(*arguments)
    assert isinstance(done.exception, UsageError)
    assert words in done.exception.message
