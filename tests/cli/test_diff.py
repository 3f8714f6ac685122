"""`vagent diff` as a command, with files and with real revisions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.testing.builders import AGENT, write_agent

SUITE = """\
agent: orders.yaml
mock: {lookup_order: {returns: {status: shipped}}}
scenarios:
  - name: greets
    turns:
      - agent: how can I help
  - name: finds an order
    turns:
      - user: Where is my order 1234?
      - agent: shipped
"""
Vagent = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def vagent(tmp_path: Path) -> Vagent:
    write_agent(tmp_path)
    (tmp_path / "orders.test.yaml").write_text(SUITE, "utf-8")
    changed = AGENT.replace("how can I help?", "what is it?").replace("5s", "6s")
    (tmp_path / "new.yaml").write_text(changed, "utf-8")

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "runner", "diff", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.getcwd(), **environment},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )

    return run


SUITE_OPTION = ("--scenarios", "orders.test.yaml")


def test_configuration_and_behavior_are_compared(vagent: Vagent) -> None:
    done = vagent("orders.yaml", "new.yaml", *SUITE_OPTION)

    assert done.returncode == 1
    assert done.stdout.startswith(
        "orders.yaml → new.yaml: 2 values change, 2 of 2 scenarios have "
        "different results\n"
    )
    assert "    Hello, [-how can I help?-]{+what is it?+}\n" in done.stdout
    assert "  tools.lookup_order.timeout changed\n    - 5s\n    + 6s\n" in done.stdout
    assert "  greets: result, words\n" in done.stdout
    assert "    + failed; expected the agent says how can I help" in done.stdout
    assert "  finds an order: words\n" in done.stdout


def test_equal_agents_end_with_0(vagent: Vagent) -> None:
    done = vagent("orders.yaml", "orders.yaml")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "orders.yaml → orders.yaml: no differences\n"


def test_the_scenarios_of_the_new_agent_run_by_default(vagent: Vagent) -> None:
    content = json.loads(vagent("new.yaml", "orders.yaml", "--format", "json").stdout)

    assert [each["scenario"] for each in content["scenarios"]] == [
        "greets",
        "finds an order",
    ]
    assert content["scenarios"][0]["old"]["status"] == "failed"
    assert content["scenarios"][0]["new"]["status"] == "passed"


def test_scenarios_can_be_left_out(vagent: Vagent) -> None:
    done = vagent("new.yaml", "orders.yaml", "--no-scenarios", "--exit-zero")

    assert done.returncode == 0
    assert "scenarios" not in done.stdout


def test_markdown_escapes_transcripts(vagent: Vagent, tmp_path: Path) -> None:
    text = AGENT.replace("how can I help?", "<script>alert(1)</script> | help")
    (tmp_path / "new.yaml").write_text(text, "utf-8")

    done = vagent("orders.yaml", "new.yaml", *SUITE_OPTION, "--format", "markdown")

    assert done.stdout.startswith("### new.yaml: ")
    assert "<script>" not in done.stdout
    assert "&lt;script&gt;" in done.stdout


def test_a_secret_is_not_shown(vagent: Vagent, tmp_path: Path) -> None:
    url = 'url: "https://orders.example/{order_id}"'
    token = url + ', headers: {X-Key: "${env:ORDERS_TOKEN}"}'
    (tmp_path / "new.yaml").write_text(AGENT.replace(url, token), "utf-8")

    for format in ("text", "markdown", "json"):
        done = vagent(
            *("orders.yaml", "new.yaml", "--format", format, *SUITE_OPTION),
            ORDERS_TOKEN="hunter2-hunter2",
        )
        assert "hunter2" not in done.stdout + done.stderr
        assert "ORDERS_TOKEN" in done.stdout


WRONG = {
    "no such file": (("missing.yaml", "new.yaml"), "there is no missing.yaml"),
    "format": (("orders.yaml", "new.yaml", "--format", "xml"), "unknown format 'xml'"),
    "both": (
        ("orders.yaml", "new.yaml", "--no-scenarios", *SUITE_OPTION),
        "contradict each other",
    ),
    "no repository": (("HEAD:orders.yaml", "new.yaml"), "git says: "),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_wrong_usage_is_reported(
    vagent: Vagent, arguments: tuple[str, ...], said: str
) -> None:
    done = vagent(*arguments)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def repository(tmp_path: Path, vagent: Vagent) -> Callable[..., None]:
    """Makes the folder a repository with one commit; returns a runner of git."""

    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    return git


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="no git here")


@needs_git
def test_one_file_is_compared_with_its_last_commit(
    vagent: Vagent, repository: Callable[..., None], tmp_path: Path
) -> None:
    assert vagent("orders.yaml").returncode == 0
    shutil.copy(tmp_path / "new.yaml", tmp_path / "orders.yaml")

    done = vagent("orders.yaml")

    assert done.returncode == 1
    assert done.stdout.startswith("HEAD:orders.yaml → orders.yaml: 2 values change")


@needs_git
def test_a_revision_includes_its_tools(
    vagent: Vagent, repository: Callable[..., None], tmp_path: Path
) -> None:
    tools = (tmp_path / "tools.py").read_text("utf-8")
    (tmp_path / "tools.py").write_text(tools.replace("Count the", "Tell the"), "utf-8")

    done = vagent("HEAD:orders.yaml", "orders.yaml", "--no-scenarios")

    assert "  tools.count_letters.description changed\n" in done.stdout
    assert "[-Count-]{+Tell+}" in done.stdout


@needs_git
@pytest.mark.parametrize(
    ("old", "said"),
    [
        ("HEAD:other.yaml", "there is no other.yaml in HEAD"),
        ("nowhere:orders.yaml", "git says: "),
        ("--exec=x:orders.yaml", "No such option"),
    ],
)
def test_an_invalid_revision_is_reported(
    vagent: Vagent, repository: Callable[..., None], old: str, said: str
) -> None:
    done = vagent(old, "orders.yaml")

    assert done.returncode == 2
    assert said in done.stderr
