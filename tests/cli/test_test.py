"""`vagent test` as a command: selection, reports, stored failures, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.cli.main import run_command
from tests.terminal import running
from tests.testing.builders import AGENT, write_agent

SUITE = """\
agent: orders.yaml
mock: {lookup_order: {returns: {status: shipped}}}
scenarios:
  - name: greets
    tags: [smoke]
    turns:
      - agent: help
  - name: finds an order
    turns:
      - user: Where is my order 1234?
      - agent: shipped
"""
FAILING = SUITE + "      - agent: lost\n"

HANGING = SUITE.replace(
    "    turns:\n      - user",
    "    llm: [{tool_calls: [{tool: count_letters, arguments: {word: sun}}]}]\n"
    "    turns:\n      - user",
)
TOOL_ANSWER = """\
  - name: counts letters
    llm:
      - tool_calls: [{tool: count_letters, arguments: {word: sun}}]
      - {after: count_letters, says: "${letters} letters"}
    turns: [user: Count, agent: 3 letters]
"""
OTHER = """\
agent: other.yaml
scenarios:
  - name: wishes a good day
    turns: [agent: good day]
"""


@dataclass
class Done:
    """The result of a command."""

    returncode: int
    stdout: str
    stderr: str


Vagent = Callable[..., Done]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_agent(tmp_path)
    write(tmp_path, SUITE)
    return tmp_path


@pytest.fixture
def vagent(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Vagent:
    """Runs the command line in a folder with an agent and two scenarios."""
    monkeypatch.chdir(project)
    for name in [each for each in os.environ if each.startswith("GITHUB")]:
        monkeypatch.delenv(name)

    def run(*arguments: str, **environment: str) -> Done:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            code = run_command(list(arguments))
        return Done(code, *capsys.readouterr())

    return run


def in_a_process(folder: Path, *arguments: str, **environment: str) -> str:
    """Runs the command line as a process and returns its output."""
    return subprocess.run(
        [sys.executable, "-m", "runner", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.getcwd(), **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    ).stdout


def write(folder: Path, text: str, name: str = "orders.test.yaml") -> None:
    (folder / name).write_text(text, "utf-8")


def test_passed_scenarios_exit_with_0_and_a_summary(vagent: Vagent) -> None:
    done = vagent("test")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("2 passed; ")


def test_a_failure_exits_with_1_shows_its_turn_and_is_recorded(
    vagent: Vagent, tmp_path: Path
) -> None:
    write(tmp_path, FAILING)

    done = vagent("test")

    assert done.returncode == 1
    assert "orders.test.yaml:12:9: failed: finds an order\n" in done.stdout
    assert "  12 |       - agent: lost\n" in done.stdout
    assert "  expected: the agent says lost\n" in done.stdout
    assert "    caller: Where is my order 1234?\n" in done.stdout
    folder = ".vagent/recordings/orders-8-finds-an-order"
    assert f"  recorded: vagent show {folder}\n" in done.stdout
    assert (tmp_path / folder / "session.jsonl").is_file()
    assert (tmp_path / ".vagent" / ".gitignore").is_file()
    assert vagent("replay", folder).returncode == 0


def test_last_failed_runs_failures_until_they_pass(
    vagent: Vagent, tmp_path: Path
) -> None:
    write(tmp_path, FAILING)
    vagent("test")

    again = vagent("test", "--last-failed")
    write(tmp_path, SUITE)
    mended = vagent("test", "--last-failed")
    all_of_them = vagent("test", "--last-failed")

    assert again.stderr.startswith("1 failed; ")
    assert mended.stderr.startswith("1 passed; ")
    assert all_of_them.stderr.startswith("2 passed; ")


def test_two_runs_write_the_same_bytes_whatever_the_hash_seed(
    project: Path,
) -> None:
    write(project, FAILING)
    arguments = ("test", "--format", "json", "--repeat", "2", "--coverage")

    outputs = {
        in_a_process(project, *arguments, "--jobs", jobs, PYTHONHASHSEED=seed)
        for jobs, seed in [("1", "1"), ("2", "2"), ("1", "3")]
    }

    assert len(outputs) == 1
    content = json.loads(outputs.pop())
    assert content["counts"]["failed"] == 2
    assert str(project) not in json.dumps(content)


def test_a_repetition_has_a_confidence_interval(vagent: Vagent) -> None:
    done = vagent("test", "--repeat", "3", "-k", "greets")

    assert "3 of 3 passed (44% to 100% with 95 % certainty): orders" in done.stdout


def test_list_runs_nothing(vagent: Vagent) -> None:
    done = vagent("test", "--list")

    assert done.stdout.splitlines() == [
        "orders.test.yaml::greets  [smoke]",
        "orders.test.yaml::finds an order",
    ]
    assert done.stderr == ""


def test_a_scenario_can_be_named_and_a_tag_chosen(vagent: Vagent) -> None:
    assert vagent("test", "orders.test.yaml::greets").stderr.startswith("1 passed")
    assert vagent("test", "--tag", "smoke").stderr.startswith("1 passed")


def test_fail_fast_stops_at_the_first_failure(vagent: Vagent, tmp_path: Path) -> None:
    write(tmp_path, FAILING.replace("- agent: help", "- agent: never said"))

    assert vagent("test", "-x").stderr.startswith("1 failed, 1 not run; ")


def test_a_variable_of_the_command_line_is_used(vagent: Vagent, tmp_path: Path) -> None:
    text = (tmp_path / "orders.yaml").read_text("utf-8")
    text = text.replace("Hello,", "Hello from ${company},")
    write(tmp_path, text + "variables: {company: {default: Acme}}\n", "orders.yaml")
    write(tmp_path, SUITE.replace("agent: help", "agent: from Zenith"))

    assert vagent("test", "-k", "greets").returncode == 1
    assert vagent("test", "-k", "greets", "--var", "company=Zenith").returncode == 0


def test_a_fault_of_the_command_line_is_injected(
    vagent: Vagent, tmp_path: Path
) -> None:
    write(tmp_path, SUITE + "      - expect: {resumed: true}\n")

    assert vagent("test").returncode == 1
    assert vagent("test", "--fault", "drop on=tool.call", "-k", "order").returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no Ctrl-C for one process there")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_reports_the_finished_scenarios(project: Path, jobs: str) -> None:
    write(project, HANGING)
    text = (project / "tools.py").read_text("utf-8")
    hangs = "print('hanging', flush=True); time.sleep(600)"
    write(project, text.replace("time.sleep(0.05)", hangs), "tools.py")
    command = [sys.executable, "-m", "runner", "test", "--jobs", jobs]
    with subprocess.Popen(
        [*command, "--format", "tap"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,  # as on a terminal
    ) as process:
        assert process.stderr is not None
        assert "hanging\n" in iter(process.stderr.readline, "")
        os.killpg(process.pid, signal.SIGINT)
        out, error = process.communicate(timeout=30)

    assert process.returncode == 130
    finished = "TAP version 14\n1..1\nok 1 - greets\n", "1 passed, 1 not run; "
    # In parallel the first may still run when the second hangs.
    nothing = "TAP version 14\n1..0\n", "2 not run; "
    seen = out, error.partition("; ")[0] + "; "
    assert seen in ([finished] if jobs == "1" else [finished, nothing])
    assert "Traceback" not in error


async def test_watch_runs_the_affected_scenarios(tmp_path: Path) -> None:
    write_agent(tmp_path)
    write(tmp_path, SUITE)
    write(tmp_path, AGENT.replace("Hello", "Good day"), "other.yaml")
    write(tmp_path, OTHER, "other.test.yaml")
    async with running("test", "--watch", folder=tmp_path) as (terminal, process):
        await terminal.said("3 passed; ")
        await terminal.said("watching for changes")
        write(tmp_path, AGENT.replace("Hello", "Good night"), "other.yaml")
        await terminal.said("1 failed; ")
        write(tmp_path, SUITE.replace("    turns:", "    turn:"))
        await terminal.said("orders.test.yaml:6:5: error:")
        write(tmp_path, SUITE + TOOL_ANSWER)
        await terminal.said("3 passed; ", 2)
        tools = (tmp_path / "tools.py").read_text("utf-8")
        write(tmp_path, tools.replace("len(word)", "0"), "tools.py")
        await terminal.said("“0 letters”")
        if sys.platform != "win32":  # a process there cannot be sent a Ctrl-C alone
            process.send_signal(signal.SIGINT)
            assert await terminal.ended() == 130
            assert "Traceback" not in terminal.out


async def test_watch_can_start_with_an_invalid_file(tmp_path: Path) -> None:
    write_agent(tmp_path)
    write(tmp_path, SUITE.replace("    turns:", "    turn:"))
    async with running("test", "--watch", folder=tmp_path) as (terminal, _):
        await terminal.said("orders.test.yaml:6:5: error:")
        await terminal.said("watching for changes")
        write(tmp_path, SUITE)
        await terminal.said("2 passed; ")


def test_a_report_is_written_if_failures_cannot_be_stored(
    vagent: Vagent, tmp_path: Path
) -> None:
    write(tmp_path, FAILING)
    write(tmp_path, "", ".vagent")  # a file in place of the folder

    done = vagent("test")

    assert done.returncode == 1
    assert "failed: finds an order" in done.stdout
    assert "left out 1×: its recording: " in done.stdout
    assert "vagent: .vagent" in done.stderr and "cannot be written" in done.stderr


def test_coverage_lists_what_was_not_exercised(vagent: Vagent) -> None:
    done = vagent("test", "--coverage")

    assert "  tools: lookup_order 1×\n" in done.stdout
    assert (
        "  tools never exercised: count_letters, spell_slowly, end_call" in done.stdout
    )


def test_results_go_to_a_file(vagent: Vagent, tmp_path: Path) -> None:
    done = vagent("test", "--format", "junit", "--output-file", "out.xml")

    assert done.stdout == ""
    assert "<testsuites" in (tmp_path / "out.xml").read_text("utf-8")


def test_a_job_of_github_gets_annotations_and_a_summary(
    vagent: Vagent, tmp_path: Path
) -> None:
    write(tmp_path, FAILING)
    summary = tmp_path / "summary.md"

    done = vagent("test", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))

    assert done.stdout.startswith("::error file=orders.test.yaml,line=12,col=9,")
    assert "| finds an order | orders.test.yaml | failed |" in summary.read_text(
        "utf-8"
    )


def test_a_scenario_that_cannot_run_exits_with_3(
    vagent: Vagent, tmp_path: Path
) -> None:
    write(tmp_path, "def count_letters(word: str) -> int:\n    1 / 0\n", "tools.py")
    write(
        tmp_path,
        "def count_letters(word: str) -> int:\n    return 1\n\n\n"
        "def spell_slowly(word: str) -> int:\n    return 1\n\n\n1 / 0\n",
        "tools.py",
    )

    done = vagent("test")

    assert done.returncode == 3
    assert "ZeroDivisionError" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


WRONG = {
    "format": (("--format", "xml"), "unknown format 'xml'"),
    "jobs": (("--jobs", "many"), "use a number of processes, or auto"),
    "no jobs": (("--jobs", "0"), "use a number of processes, or auto"),
    "keywords": (("-k", "(a"), "a ( is not closed"),
    "nothing chosen": (("-k", "nothing"), "none of 2 scenarios is selected"),
    "no such file": (("missing.yaml",), "there is no missing.yaml"),
    "no such scenario": (("orders.test.yaml::x",), "has no scenario 'x'"),
    "votes": (("--judge", "http://x/v1", "--judge-votes", "2"), "have no majority"),
    "fault": (("--fault", "drop-it"), "unknown kind 'drop-it'"),
    "service": (("--service", "http://x"), "is not a service"),
    "variable": (("--var", "hours=nine"), "no agent declares a variable 'hours'"),
    "variable's form": (("--var", "hours"), "hours"),
    "repeat": (("--repeat", "0"), "--repeat"),
    "packet loss": (("--packet-loss", "101"), "--packet-loss"),
    "write alone": (("--write", "x.yaml"), "--write needs --from-recording"),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_wrong_usage_has_no_traceback(
    vagent: Vagent, arguments: tuple[str, ...], said: str
) -> None:
    done = vagent("test", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_key_is_reported_once(vagent: Vagent) -> None:
    done = vagent("test", "--service", "assemblyai", ASSEMBLYAI_API_KEY="")

    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.count("ASSEMBLYAI_API_KEY is not set") == 1


def test_a_run_loads_no_engine_before_its_scenarios() -> None:
    code = "import sys, runner.cli.test, runner.testing.pool; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    heavy = {"numpy", "asyncio", "websockets", "httpx", "jsonschema", "rich"}
    assert "runner.testing.pool" in done.stdout
    assert not heavy & set(done.stdout.split())


def test_a_recording_becomes_a_scenario_that_passes(
    vagent: Vagent, tmp_path: Path
) -> None:
    vagent("test", "--record-passed", "--recordings", "kept")
    recording = "kept/orders-8-finds-an-order"

    made = vagent("test", "--from-recording", recording, "--write", "new.test.yaml")
    again = vagent("test", "--from-recording", recording, "--write", "new.test.yaml")
    shown = vagent("test", "--from-recording", recording)

    assert made.returncode == 0
    assert vagent("validate", "new.test.yaml").returncode == 0
    assert vagent("test", "new.test.yaml").stderr.startswith("1 passed")
    assert again.returncode == 2 and "overwrite it with --force" in again.stderr
    assert shown.stdout == (tmp_path / "new.test.yaml").read_text("utf-8")


def test_a_broken_scenario_file_shows_its_findings(
    vagent: Vagent, tmp_path: Path
) -> None:
    write(tmp_path, SUITE.replace("turns", "turn"))

    done = vagent("test")

    assert done.returncode == 1
    assert "orders.test.yaml:6:5: error:" in done.stderr
