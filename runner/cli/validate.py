"""`vagent validate`: checks agent and scenario files, reports and fixes findings."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.options import parse_variables
from runner.cli.output import save, write_any_character
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from runner.cli.validate_fixes import Fixes
    from runner.config.diagnostics import Diagnostic
    from runner.config.files import ParsedFile
    from runner.config.lint.checker import Checker
    from runner.config.lint.discovery import FileDiscovery
    from runner.config.lint.results import Results
    from runner.config.lint.selection import Settings
    from runner.config.model import Kinds


class Color(StrEnum):
    """The values of `--color`."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Options of the report and the exit code."""

    format: str
    color: Color
    output_file: Path | None
    max_findings: int | None
    quiet: bool
    exit_zero: bool
    fixes: Fixes | None = None


def report(results: Results, options: ReportOptions) -> None:
    """Writes the findings to the output file or stdout, and the summary to stderr."""
    from runner.cli.reports import choose_format, load_report
    from runner.cli.reports.common import wants_color

    for each in results.unreadable:
        typer.echo(f"vagent: {each.message}", err=True)
    shown = results.shortened(options.max_findings, errors_only=options.quiet)
    is_terminal = options.output_file is None and sys.stdout.isatty()
    color = wants_color(options.color.value, os.environ, is_terminal=is_terminal)
    write = load_report(choose_format(options.format, os.environ), color=color)
    text = write(shown)
    if options.output_file is not None:
        save(options.output_file, text)
    elif not (options.fixes and options.fixes.takes_output):
        typer.echo(text, nl=False, color=color or None)
    if not options.quiet:
        typer.echo(str(shown.summary), err=True)
        if options.fixes:
            typer.echo(options.fixes.summary(), err=True)


class Format(StrEnum):
    """The values of `--format`; a test compares them with the table of reports."""

    AUTO = "auto"
    TEXT = "text"
    CONCISE = "concise"
    JSON = "json"
    JSONL = "jsonl"
    SARIF = "sarif"
    GITHUB = "github"
    GITLAB = "gitlab"
    JUNIT = "junit"


def validate(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Agent and scenario files, patterns (agents/**/*.yaml), folders "
            "to search, or - for standard input. Default: the current "
            "folder.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            help="Format of the findings. auto: annotations in GitHub Actions, "
            "else text. Default: auto.",
        ),
    ] = None,
    output_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the findings to this file."),
    ] = None,
    color: Annotated[
        Color,
        typer.Option(help="Color. auto: on a terminal unless NO_COLOR is set."),
    ] = Color.AUTO,
    select: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULES",
            help="Check only these rules: ids, prefixes of ids (VA5) or names, "
            "separated by commas. Repeatable.",
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="RULES", help="Skip these rules. Repeatable."),
    ] = None,
    strict: Annotated[
        bool | None,
        typer.Option(
            "--strict/--no-strict",
            help="Count warnings as errors, except those of --env.",
        ),
    ] = None,
    env: Annotated[
        bool,
        typer.Option(
            "--env",
            help="Report what a call would miss on this machine as errors: unset "
            "environment variables, variables without a value, plugins.",
        ),
    ] = False,
    var: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Set a variable of the agent files. Repeatable."
        ),
    ] = None,
    stdin_filename: Annotated[
        Path | None,
        typer.Option(
            metavar="NAME",
            help="File name of standard input; tools are searched in its folder.",
        ),
    ] = None,
    max_findings: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Limit of findings to show."),
    ] = None,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit with 0 even if there are errors.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show only errors and no summary.")
    ] = False,
    no_config: Annotated[
        bool,
        typer.Option("--no-config", help="Ignore vagent.toml and pyproject.toml."),
    ] = False,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Apply safe fixes and show the remaining findings."),
    ] = False,
    diff: Annotated[
        bool,
        typer.Option("--diff", help="Show the changes of --fix without applying them."),
    ] = False,
    unsafe_fixes: Annotated[
        bool,
        typer.Option(
            "--unsafe-fixes",
            help="With --fix or --diff, also apply fixes that can change the "
            "agent's behavior.",
        ),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Check again when an agent file, its prompt file or its Python "
            "tools change, until Ctrl-C.",
        ),
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option(
            metavar="RULE", help="Explain a rule, given by id or name, and exit."
        ),
    ] = None,
    rules: Annotated[
        bool, typer.Option("--rules", help="List all rules and exit.")
    ] = False,
) -> None:
    """Check agent and scenario files.

    In a folder, YAML files that look like agents (two of their keys, near spellings
    included) or scenarios are checked; the summary lists the others. The check runs
    and imports no code of the files. Settings
    come from vagent.toml, or from [tool.vagent] of pyproject.toml, in the current
    folder or above it.

    Exits with 0 when no file has an error (warnings are allowed), 1 when one has, 2
    for wrong usage or when a folder has no such files, 3 when a file could not be read,
    130 when Ctrl-C ended --watch. With --diff, 1 means that there are changes.
    """
    write_any_character()
    if explain is not None or rules:
        typer.echo(_documentation(explain, format), nl=False)
        return
    from runner.config.lint.discovery import STDIN, FileDiscovery

    requested = list(paths or [])
    if stdin_filename is not None and STDIN not in requested:
        raise UsageError("--stdin-filename needs standard input", hint="add the path -")
    if watch and (STDIN in requested or output_file is not None):
        raise UsageError("--watch cannot be used with standard input or --output-file")
    if watch and (fix or diff):
        raise UsageError("--watch cannot be used with --fix or --diff")
    settings = _settings(
        no_config, select=select, ignore=ignore, strict=strict, format=format
    )
    targets = FileDiscovery(requested, settings, stdin_filename)
    checker = _checker(settings, parse_variables(var or []), env)
    fixes = _fixes(fix, diff, unsafe_fixes, targets, checker)
    options = ReportOptions(
        settings.format, color, output_file, max_findings, quiet, exit_zero, fixes
    )
    if watch:
        from runner.cli.watch import run_and_watch

        def check_all(changed: frozenset[Path]) -> int:
            del changed  # all files are checked: it takes milliseconds
            return _run(targets, checker, options)

        run_and_watch(targets.candidates, check_all)
        return
    with _without_garbage_collection():
        code = _run(targets, checker, options)
    if code:
        raise typer.Exit(code)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Disables garbage collection, which takes a tenth of the time of a check."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _run(targets: FileDiscovery, checker: Checker, options: ReportOptions) -> int:
    """Checks once, reports, and returns the exit code."""
    from runner.config.lint.results import CheckedFile, UnreadableFile, gather

    fixes = options.fixes
    readings = targets.readings()
    checked = list(checker.check(fixes.apply(readings) if fixes else readings))
    results = gather(
        Path.cwd(),
        (each for each in checked if isinstance(each, CheckedFile)),
        (each for each in checked if isinstance(each, UnreadableFile)),
        targets.passed_over,
    )
    report(results, options)
    if results.unreadable:
        return 3
    if fixes and fixes.shows:
        return 1 if fixes.made and not options.exit_zero else 0
    return 1 if results.summary.errors and not options.exit_zero else 0


def _settings(
    no_config: bool,
    *,
    select: list[str] | None,
    ignore: list[str] | None,
    strict: bool | None,
    format: Format | None,
) -> Settings:
    """Returns the settings of the project, overridden by the command line."""
    from runner.cli.reports import FORMATS
    from runner.cli.reports.common import all_rules
    from runner.config.lint.selection import Settings, load_settings

    settings = (
        Settings() if no_config else load_settings(Path.cwd(), all_rules, list(FORMATS))
    )
    if select is not None:
        settings = replace(settings, select=_split(select))
    if ignore is not None:
        settings = replace(settings, ignore=_split(ignore))
    if strict is not None:
        settings = replace(settings, strict=strict)
    if format is not None:
        settings = replace(settings, format=format.value)
    return settings


def _checker(settings: Settings, variables: dict[str, str], env: bool) -> Checker:
    from runner.cli.reports.common import all_rules
    from runner.config.files import load_environment
    from runner.config.lint.checker import Checker
    from runner.config.lint.selection import build_selection

    @cache
    def environment_of(folder: Path) -> Mapping[str, str]:
        return load_environment(folder, os.environ)

    return Checker(
        build_selection(settings, all_rules),
        os.environ,
        variables,
        env,
        added_kinds=added_kinds,
        check_suite=check_scenarios,
        environment_of=environment_of,
    )


def added_kinds() -> Kinds:
    """Returns the tool kinds of plugins; imports the tools package only when called."""
    from runner.tools.plugins import added_kinds

    return added_kinds()


def check_scenarios(
    reading: ParsedFile, *, variables: Mapping[str, str], must_run: bool
) -> list[Diagnostic]:
    """Returns the findings of a scenario file; imports its checker only when called."""
    from runner.testing.scenarios.loader import check_suite

    return check_suite(reading, variables=variables, must_run=must_run)


def _fixes(
    fix: bool, diff: bool, unsafe: bool, targets: FileDiscovery, checker: Checker
) -> Fixes | None:
    if not fix and not diff:
        if unsafe:
            raise UsageError("--unsafe-fixes needs --fix or --diff")
        return None
    from runner.cli.validate_fixes import Fixes

    return Fixes(targets, checker, shows=diff, unsafe=unsafe)


def _split(texts: list[str]) -> tuple[str, ...]:
    return tuple(each for text in texts for each in text.split(",") if each.strip())


def _documentation(rule: str | None, format: Format | None) -> str:
    from runner.cli.reports.common import all_rules
    from runner.config.lint.explain import explain, list_rules, rules_as_json
    from runner.config.lint.selection import find_rules

    if rule is not None:
        return "\n".join(explain(each) for each in find_rules(rule, all_rules))
    rules = all_rules().values()
    return rules_as_json(rules) if format is Format.JSON else list_rules(rules)
