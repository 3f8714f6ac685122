"""Checks an agent file: its findings, its tools and its variables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from runner.cli.doctor_checks.model import (
    CheckResult,
    DoctorOptions,
    Platform,
    failed,
    passed,
    skipped,
    this_platform,
)
from runner.cli.reports import FORMATS
from runner.cli.reports.common import all_rules
from runner.config.lint.checker import Checker
from runner.config.lint.discovery import FileDiscovery
from runner.config.lint.results import CheckedFile, Summary, UnreadableFile, gather
from runner.config.lint.selection import build_selection, load_settings
from runner.engine.agent import ResolvedAgent, resolve
from runner.errors import ConfigError, VagentError
from runner.testing.scenarios.loader import check_suite
from runner.tools.plugins import added_kinds


def check_file(options: DoctorOptions) -> Iterator[CheckResult]:
    """Counts the findings of the file as `vagent validate` does."""
    if options.agent is None:
        yield skipped("agent", "no agent file was given", "vagent doctor AGENT")
        return
    settings = load_settings(options.folder, all_rules, list(FORMATS))
    environment = options.effective_environment()
    checker = Checker(
        build_selection(settings, all_rules),
        environment,
        options.variables,
        added_kinds=added_kinds,
        check_suite=check_suite,
    )
    targets = FileDiscovery([options.agent], settings, None)
    checked = list(checker.check(targets.readings()))
    results = gather(
        options.folder,
        (each for each in checked if isinstance(each, CheckedFile)),
        (each for each in checked if isinstance(each, UnreadableFile)),
    )
    if results.unreadable:
        yield failed("agent", results.unreadable[0].message, f"ls {options.agent}")
    else:
        yield judge_file(options.agent, results.summary)


def check_tools(options: DoctorOptions) -> Iterator[CheckResult]:
    """Loads the tools, which imports their Python files, and lists unset variables."""
    if options.agent is None:
        return
    try:
        resolution = resolve(
            options.agent, options.variables, options.effective_environment()
        )
    except ConfigError:
        yield skipped("agent-tools", "the file has errors: not loaded")
        return
    except VagentError:  # an unreadable file, which `check_file` reports
        return
    yield judge_tools(resolution)
    yield judge_unset(options.agent, resolution.unset, this_platform())


def judge_file(path: Path, summary: Summary) -> CheckResult:
    """Returns the result for the number of findings of a file."""
    counted = str(summary).removeprefix("1 file checked, ")
    detail = f"{path}: {counted}"
    if summary.errors:
        return failed("agent", detail, f"vagent validate {path}")
    return passed("agent", detail)


def judge_tools(resolution: ResolvedAgent) -> CheckResult:
    """Returns a failure if a tool could not be loaded."""
    if resolution.problems:
        return failed(
            "agent-tools",
            "; ".join(resolution.problems),
            f"vagent tools {resolution.path}",
        )
    names = [str(each["name"]) for each in resolution.update.session.get("tools", ())]
    detail = f"{len(names)} loaded: {', '.join(names)}" if names else "it has none"
    return passed("agent-tools", detail)


def judge_unset(path: Path, unset: Sequence[str], platform: Platform) -> CheckResult:
    """Returns a failure if a variable is unset; `env:` marks environment variables."""
    name = "agent-variables"
    if not unset:
        return passed(name, "every variable that it uses is set")
    environment = [each[4:] for each in unset if each.startswith("env:")]
    own = [each for each in unset if not each.startswith("env:")]
    fixes = [platform.set_variable(each, "VALUE") for each in environment]
    if own:
        given = " ".join(f"--var {each}=VALUE" for each in own)
        fixes.append(f"vagent run {path} {given}")
    detail = f"not set: {', '.join([*environment, *own])}"
    return failed(name, detail, "; ".join(fixes))
