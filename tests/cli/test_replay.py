"""`vagent replay` at the command line: output, exit codes, JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from runner.cli.replay import replay
from runner.errors import UsageError
from runner.recording.format import InvalidRecording

RECORDINGS = Path(__file__).parents[1] / "testing" / "recordings"


def invoke(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(replay)
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two recordings; the second one contains other messages than the engine sends."""
    monkeypatch.chdir(tmp_path)
    for name in ("resumed", "typed"):
        shutil.copytree(RECORDINGS / name, Path("calls") / name)
    path = Path("calls/typed/session.jsonl")
    lines = path.read_text("utf-8").splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if '"type":"reply.create"' in line)
    path.write_text("".join([*lines[:at], *lines[at + 1 :]]), "utf-8")
    return Path("calls")


def test_equal_recordings_exit_with_0(calls: Path) -> None:
    done = invoke(calls / "resumed")

    assert done.exit_code == 0
    assert done.stdout == "calls/resumed: equal (25.6 s)\n"
    assert done.stderr == "1 equal\n"


def test_a_difference_is_shown_with_context_and_exits_with_1(
    calls: Path,
) -> None:
    done = invoke(calls)

    assert done.exit_code == 1
    assert "calls/resumed: equal" in done.stdout
    shown = done.stdout.partition("calls/typed: differs at ")[2].splitlines()
    assert [line[:3] for line in shown[1:]].count("  -") == 3
    assert [line[:3] for line in shown[1:]].count("  +") == 3
    assert any(line.startswith("  + ") and "→ reply.create" in line for line in shown)
    assert done.stderr == "1 equal, 1 different\n"


def test_update_accepts_a_difference(calls: Path) -> None:
    updated = invoke(calls, "--update")
    again = invoke(calls)

    assert (updated.exit_code, again.exit_code) == (0, 0)
    assert "calls/typed: updated" in updated.stdout
    assert updated.stderr == "1 equal, 1 updated\n"
    assert again.stderr == "2 equal\n"


def test_json_has_one_object_per_recording(calls: Path) -> None:
    equal, differs = map(json.loads, invoke(calls, "--json").stdout.splitlines())

    assert equal == {
        "type": "vagent.replay",
        "folder": "calls/resumed",
        "equal": True,
        "updated": False,
        "complete": True,
        "seconds": 25.62,
    } | {"seconds": equal["seconds"]}
    assert differs["equal"] is False
    assert differs["difference"]["replayed"][0]["message"]["type"] == "reply.create"


def test_an_unreadable_recording_is_reported_and_exits_with_3(calls: Path) -> None:
    (calls / "typed" / "session.jsonl").write_text("{}\n", "utf-8")

    done = invoke(calls)

    assert done.exit_code == 3
    assert (
        "calls/typed: cannot be replayed: 'calls/typed': not a recording" in done.stdout
    )
    assert done.stderr == "1 equal, 1 not replayed\n"


def test_a_truncated_recording_is_replayed_to_its_end(calls: Path) -> None:
    path = calls / "resumed" / "session.jsonl"
    path.write_bytes(path.read_bytes()[:20_000])

    done = invoke(calls / "resumed")

    assert done.exit_code == 0
    assert "cut off there)" in done.stdout


def test_a_folder_without_recordings_is_an_error(tmp_path: Path) -> None:
    assert isinstance(invoke(tmp_path).exception, InvalidRecording)


def test_unknown_tool_modes_are_wrong_usage(calls: Path) -> None:
    assert isinstance(invoke(calls, "--tools", "mocked").exception, UsageError)
