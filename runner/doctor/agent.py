"""An agent file: its findings, its tools, and what of the environment it wants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from runner.checking.checker import Checker
from runner.checking.results import CheckedFile, Summary, UnreadableFile, gather
from runner.checking.selection import build_selection
from runner.checking.settings import load_settings
from runner.checking.targets import Targets
from runner.doctor.findings import Finding, failed, passed, skipped
from runner.doctor.platforms import Platform, this_platform
from runner.doctor.wishes import Wishes
from runner.errors import ConfigError, VagentError
from runner.resolution import Resolution, resolve


def check_file(wishes: Wishes) -> Iterator[Finding]:
    """Count the findings of the file as `vagent validate` does."""
    if wishes.agent is None:
        yield skipped("agent", "no agent file was given", "vagent doctor AGENT")
        return
    settings = load_settings(wishes.folder)
    environment = wishes.effective_environment()
    checker = Checker(build_selection(settings), environment, wishes.variables)
    targets = Targets([wishes.agent], settings, None)
    checked = list(checker.check(targets.readings()))
    results = gather(
        wishes.folder,
        (each for each in checked if isinstance(each, CheckedFile)),
        (each for each in checked if isinstance(each, UnreadableFile)),
    )
    if results.unreadable:
        yield failed("agent", results.unreadable[0].message, f"ls {wishes.agent}")
    else:
        yield judge_findings(wishes.agent, results.summary)


def check_tools(wishes: Wishes) -> Iterator[Finding]:
    """Load the agent's tools, which imports its Python files, and see what is unset."""
    if wishes.agent is None:
        return
    try:
        resolution = resolve(
            wishes.agent, wishes.variables, wishes.effective_environment()
        )
    except ConfigError:
        yield skipped("agent-tools", "the file has errors: not loaded")
        return
    except VagentError:  # it cannot be read, which its own line says
        return
    yield judge_tools(resolution)
    yield judge_unset(wishes.agent, resolution.unset, this_platform())


def judge_findings(path: Path, summary: Summary) -> Finding:
    """Judge a file by the number of its findings."""
    counted = str(summary).removeprefix("1 file checked, ")
    detail = f"{path}: {counted}"
    if summary.errors:
        return failed("agent", detail, f"vagent validate {path}")
    return passed("agent", detail)


def judge_tools(resolution: Resolution) -> Finding:
    """Judge whether every tool could be loaded."""
    if resolution.problems:
        return failed(
            "agent-tools",
            "; ".join(resolution.problems),
            f"vagent tools {resolution.path}",
        )
    names = [str(each["name"]) for each in resolution.update.session.get("tools", ())]
    detail = f"{len(names)} loaded: {', '.join(names)}" if names else "it has none"
    return passed("agent-tools", detail)


def judge_unset(path: Path, unset: Sequence[str], platform: Platform) -> Finding:
    """Judge what has no value: variables, and those of the environment (`env:`)."""
    name = "agent-variables"
    if not unset:
        return passed(name, "everything that it uses is set")
    environment = [each[4:] for each in unset if each.startswith("env:")]
    own = [each for each in unset if not each.startswith("env:")]
    ways = [platform.set_variable(each, "VALUE") for each in environment]
    if own:
        given = " ".join(f"--var {each}=VALUE" for each in own)
        ways.append(f"vagent run {path} {given}")
    return failed(name, f"not set: {', '.join([*environment, *own])}", "; ".join(ways))
