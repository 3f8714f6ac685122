"""The README and the pages of the documentation are true.

Each page has a folder of its own. Its blocks with a title are written there as files
and checked by what they are; its commands are then run there, in the order of the page.
The few commands that are not run are listed below, each with its reason.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from runner.cli.main import build_app
from runner.cli.reports.common import all_rules
from runner.config.loader import check_file
from runner.config.settings import find_table
from runner.service.faults.parser import parse_fault
from runner.testing import TestOptions, run_scenario

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted(
    path
    for path in (README, *DOCS.rglob("*.md"))
    # The pages of the rules have tests of their own: their bad examples are bad.
    if not path.match("reference/rules/VA*.md")
)
# Its blocks use an agent of tests/testing/scenarios/, whose test_docs.py runs them.
SCENARIOS = DOCS / "reference" / "scenarios.md"
# A block begins a line, at most with a title behind the name of its language.
BLOCK = re.compile(
    r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL
)
NO_SCHEMA_NAMED = "VA115"
MODELINE = "# yaml-language-server: $schema=./"

# Commands that are not run, by a pattern, and why not. Their options are checked.
NOT_RUN = {
    r"make \w+": "it runs these tests",
    r"\. \.venv/bin/activate": "the environment of the tests is active already",
    r"vagent run .*--say": "it needs the models; test_spoken_call.py runs it",
    r"vagent run .*--input question.wav": "it needs a file with a question",
    r"vagent run .*--(headphones|push-to-talk)": "it needs a microphone",
    r"vagent devices": "it needs a sound card",
    r"vagent doctor .*--online": "it needs a key and the network",
    r"vagent doctor": "its result depends on the machine",
    r"vagent service (?!--fault help)": "it does not end by itself",
    r"vagent serve ": "it does not end by itself",
    r"vagent .*--service (local|assemblyai)": "it needs the models, or a key",
    r"vagent models (fetch|path)": "it needs the network, or the models",
    r"vagent .*--judge": "it needs a language model",
    r"vagent (validate|test) .*--watch": "it does not end by itself",
    r"vagent (show|test) .*calls/2026": "the recording is an example",
    r"vagent test agents/recorded.test.yaml": "the recording is an example",
    r"export ASSEMBLYAI_API_KEY": "the key is an example; no call of these uses it",
    r"vagent run agents/support.yaml$": "it comes after the example of a key",
}

# Commands that end with 1 when they do what they should: the agents of the test differ.
DIFFERS = re.compile(r"vagent diff")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the name of its language, its title, its text."""

    kind: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a console block, and the output that is shown below it."""

    line: str
    output: tuple[str, ...]

    @property
    def reason(self) -> str | None:
        """Why the command is not run; None if it is."""
        found = (why for what, why in NOT_RUN.items() if re.match(what, self.line))
        return next(found, None)


def read_blocks(path: Path) -> list[Block]:
    return [Block(*each) for each in BLOCK.findall(path.read_text("utf-8"))]


def read_commands(block: Block) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, *output = part.splitlines()
        yield Command(re.sub(r"\s+# .*", "", line), tuple(output))


BLOCKS = [
    pytest.param(path, block, id=f"{path.relative_to(ROOT)}-{number}")
    for path in PAGES
    if path != SCENARIOS
    for number, block in enumerate(read_blocks(path))
]
WITH_COMMANDS = [
    pytest.param(path, id=str(path.relative_to(ROOT)))
    for path in PAGES
    if any(block.kind == "console" for block in read_blocks(path))
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a local service without models, for the calls of the pages."""
    command = [sys.executable, "-m", "runner", "service", "--no-models"]
    errors = (tmp_path_factory.mktemp("service") / "stderr").open("wb")
    with (
        errors,
        subprocess.Popen(
            [*command, "--port", "0", "--log-json", "--exit-with-parent"],
            stdin=subprocess.PIPE,  # the service ends when this is closed
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
        ) as process,
    ):
        assert process.stdout is not None
        listening = re.search(r"ws://[^\"]+", process.stdout.readline())
        assert listening is not None
        try:
            yield listening[0]
        finally:
            process.terminate()


@pytest.fixture
def workspace(tmp_path: Path, service: str) -> Path:
    """A folder with two agents in a repository, and with the commands of the pages."""
    agents = tmp_path / "work" / "agents"
    (agents / "tools").mkdir(parents=True)
    (agents / "prompts").mkdir()
    for name in (
        *("support.yaml", "storyteller.yaml", "storyteller.test.yaml"),
        *("agent.schema.json", "scenario.schema.json"),
        *("tools/weather.py", "tools/orders.py"),
    ):
        shutil.copy(ROOT / "agents" / name, agents / name)
    programs = tmp_path / "bin"
    programs.mkdir()
    write_program(
        programs / "vagent",
        # Calls go to the service of these tests and are typed: no microphone is used.
        f"""case "$1" in
        run) shift
            set -- run "$@" --text --service {service} --max-duration 1s ;;
        esac
        exec "{sys.executable}" -m runner "$@\"""",
    )
    write_program(programs / "python", f'exec "{sys.executable}" "$@"')
    write_program(programs / "pytest", f'exec "{sys.executable}" -m pytest "$@"')
    return tmp_path / "work"


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)


def write_block(folder: Path, block: Block) -> Path:
    path = folder / block.title
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, "utf-8")
    return path


def commit(folder: Path) -> None:
    """Commit the folder, so that there is an earlier revision; then change an agent."""
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    for arguments in (
        ("init", "-q"),
        ("add", "."),
        (*who, "commit", "-q", "-m", "one"),
        (*who, "commit", "-q", "--allow-empty", "-m", "two"),
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    path = folder / "agents" / "support.yaml"
    path.write_text(path.read_text("utf-8").replace("four\n  digits", "five\n  digits"))


@pytest.mark.skipif(
    shutil.which("bash") is None or shutil.which("git") is None,
    reason="needs bash and git",
)
@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_every_command_runs_and_shows_what_the_page_shows(
    page: Path, workspace: Path
) -> None:
    commit(workspace)
    for block in read_blocks(page):
        if block.title:
            write_block(workspace, block)
        elif block.kind == "console":
            for command in read_commands(block):
                if command.reason is None:
                    run(command, workspace)


def run(command: Command, workspace: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", command.line],
        cwd=workspace,
        env={
            **{name: each for name, each in os.environ.items() if "KEY" not in name},
            "PATH": f"{workspace.parent / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "VAGENT_MODELS": str(workspace.parent / "models"),
            "VAGENT_CONFIG": str(workspace.parent / "config"),
            "COLUMNS": "100",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    shown = [line for line in command.output if line.strip() not in ("", "...")]
    allowed = {0}
    if DIFFERS.match(command.line) or any(": error:" in line for line in shown):
        allowed = {1}
    assert done.returncode in allowed, f"{command.line}\n{done.stdout}"
    lines = iter(done.stdout.splitlines())
    for expected in shown:
        beginning = expected.removesuffix("...").rstrip()
        assert any(each.startswith(beginning) for each in lines), (
            f"{command.line}\nnot in the output: {expected}\n{done.stdout}"
        )


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_every_block_is_right(page: Path, block: Block, tmp_path: Path) -> None:
    agents = tmp_path / "agents"
    shutil.copytree(ROOT / "agents", agents)
    for each in read_blocks(page):  # a scenario is about an agent of its page
        if each.title:
            write_block(tmp_path, each)
    if block.kind in ("console", "text", "json", ""):
        return  # commands are run by the test above; the others are illustrations
    # The page of recordings has a test that runs its example.
    assert block.title or block.kind == "yaml" or page.name == "recordings.md"
    path = write_block(tmp_path, block) if block.title else agents / "fragment.yaml"
    match block.kind, block.title:
        case "yaml", "":
            check_fragment(block.text, path)
        case "yaml", title if title.endswith(".test.yaml"):
            # Of an agent that a command of the page writes, another command runs it.
            if not is_run(f"vagent test {title}", page):
                check_scenarios(path)
        case "yaml", title if title.startswith("agents/"):
            check_agent(path)
        case "python", title:
            compile(block.text, title, "exec")
        case _:
            CHECKS[block.title](path)


def is_run(line: str, page: Path) -> bool:
    commands = (c for block in read_blocks(page) for c in read_commands(block))
    return any(each.line == line and each.reason is None for each in commands)


def check_fragment(text: str, path: Path) -> None:
    """A fragment is a part of an agent file: its fields, or its first line."""
    lines = text.splitlines()
    own = [each for each in lines if not each.startswith(MODELINE)]
    rest = ["version: 1", "name: a", "prompt: Be brief, and use end_call."]
    rest += ["tools: [{plugin: end_call}]"]
    path.write_text("\n".join([*own, *rest]) + "\n", "utf-8")
    check_agent(path)


def check_agent(path: Path) -> None:
    found = check_file(path, environment={"ORDERS_TOKEN": "x"})
    # Most examples leave out the first line, which names the schema for editors.
    assert [each.message for each in found if each.rule != NO_SCHEMA_NAMED] == []


def check_scenarios(path: Path) -> None:
    from runner.testing.scenarios.loader import load_suite

    results = [run_scenario(each, TestOptions()) for each in load_suite(path).scenarios]
    found = [(each.status.value, each.failure or each.error) for each in results]
    assert found == [("passed", None)] * len(results)


def check_faults(path: Path) -> None:
    for spec in yaml.safe_load(path.read_text("utf-8")):
        parse_fault(spec)


def check_hook(path: Path) -> None:
    offered = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    (repository,) = yaml.safe_load(path.read_text("utf-8"))["repos"]
    assert {each["id"] for each in repository["hooks"]} <= {x["id"] for x in offered}


def check_workflow(path: Path) -> None:
    inputs = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["inputs"]
    (job,) = yaml.safe_load(path.read_text("utf-8"))["jobs"].values()
    (step,) = (each for each in job["steps"] if "/vagent@" in each.get("uses", ""))
    assert set(step["with"]) <= set(inputs)


def check_settings(path: Path) -> None:
    table = find_table(path.parent)
    assert table.path == path
    known = {rule.name for rule in all_rules().values()} | set(all_rules())
    patterns = [*table.values.get("ignore", ()), *table.values.get("select", ())]
    for each in table.values.get("per-file-ignores", {}).values():
        patterns += each
    for each in patterns:
        assert any(rule.startswith(each) for rule in known), each


def check_plugin(path: Path) -> None:
    groups = tomllib.loads(path.read_text("utf-8"))["project"]["entry-points"]
    assert set(groups) <= {"vagent.tools", "vagent.tool_kinds"}


CHECKS: dict[str, Callable[[Path], None]] = {
    "faults.yaml": check_faults,
    ".pre-commit-config.yaml": check_hook,
    ".github/workflows/agents.yml": check_workflow,
    ".github/workflows/agents-and-tests.yml": check_workflow,
    "vagent.toml": check_settings,
    "pyproject.toml": check_settings,
    "plugin/pyproject.toml": check_plugin,
}


def options_of(command: Any) -> Iterator[str]:
    # Any: typer's copy of click is private and has no public types.
    for each in command.params:
        yield from (*each.opts, *each.secondary_opts)
    for each in getattr(command, "commands", {}).values():
        yield from options_of(each)


OPTIONS = {
    *options_of(typer.main.get_command(build_app())),
    *("--help", "--group", "--vagent-service", "--vagent-keep"),
}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_option_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    code = re.findall(r"`([^`\n]+)`", text)
    code += [c.line for b in read_blocks(page) for c in read_commands(b)]
    own = [each for each in code if not re.match(r"(sed|git|make|pip|python) ", each)]
    named = {each for line in own for each in re.findall(r"(?<![\w-])--[a-z-]+", line)}
    assert named <= OPTIONS


def test_commands_that_are_not_run_are_still_shown() -> None:
    lines = [
        command.line
        for path in PAGES
        for block in read_blocks(path)
        if block.kind == "console"
        for command in read_commands(block)
    ]
    assert len(lines) > 60
    for pattern in NOT_RUN:
        assert any(re.match(pattern, line) for line in lines), pattern


def test_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for path in (*PAGES, ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"[`$] ?make (\w+)", path.read_text("utf-8")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_root_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / target).exists(), target


def test_the_readme_is_short() -> None:
    assert len(README.read_bytes()) <= 10_000


def test_every_environment_variable_is_documented() -> None:
    page = (DOCS / "reference" / "environment.md").read_text("utf-8")
    used = set()
    for path in (ROOT / "runner").rglob("*.py"):
        with contextlib.suppress(UnicodeDecodeError):
            used |= set(re.findall(r'"(VAGENT_[A-Z_]+)"', path.read_text("utf-8")))
    used -= {"VAGENT_EXAMPLE_NOT_SET"}
    used -= {"VAGENT_BRAIN_KEY", "VAGENT_SERVE_KEY"}  # refused, with the new name
    assert [name for name in sorted(used) if f"`{name}`" not in page] == []


def test_every_setting_is_documented() -> None:
    from runner.config.settings import KEYS

    page = (DOCS / "reference" / "settings.md").read_text("utf-8")
    assert [key for key in sorted(KEYS) if f"| `{key}` |" not in page] == []
