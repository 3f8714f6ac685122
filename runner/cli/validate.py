"""`vagent validate`: all findings of all agent and scenario files."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
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


# What `validate` has found, told in the way that was asked for.


class Colour(StrEnum):
    """What `--color` takes."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """How results are shown, and what they come to."""

    format: str
    colour: Colour
    output_file: Path | None
    most: int | None
    quiet: bool
    exit_zero: bool
    fixes: Fixes | None = None


def report(results: Results, manners: ReportOptions) -> None:
    """Write the findings where they go, and the sums to standard error."""
    from runner.cli.reports import choose_format, load_report
    from runner.cli.reports.common import wants_colour

    for each in results.unreadable:
        typer.echo(f"vagent: {each.message}", err=True)
    shown = results.shortened(manners.most, errors_only=manners.quiet)
    is_terminal = manners.output_file is None and sys.stdout.isatty()
    colour = wants_colour(manners.colour.value, os.environ, is_terminal=is_terminal)
    write = load_report(choose_format(manners.format, os.environ), colour=colour)
    text = write(shown)
    if manners.output_file is not None:
        save(manners.output_file, text)
    elif not (manners.fixes and manners.fixes.takes_output):
        typer.echo(text, nl=False, color=colour or None)
    if not manners.quiet:
        typer.echo(str(shown.summary), err=True)
        if manners.fixes:
            typer.echo(manners.fixes.summary(), err=True)


class Format(StrEnum):
    """What `--format` takes; a test holds it to the table of reports."""

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
        Colour,
        typer.Option(help="Color. auto: on a terminal unless NO_COLOR is set."),
    ] = Colour.AUTO,
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
        typer.Option("--strict/--no-strict", help="Count warnings as errors."),
    ] = None,
    env: Annotated[
        bool,
        typer.Option(
            "--env",
            help="Report unset environment variables and variables without a "
            "value as errors.",
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

    In a folder, YAML files that look like agents (a version, and a prompt or tools) or
    scenarios are checked. The check runs and imports no code of the files. Settings
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

    asked = list(paths or [])
    if stdin_filename is not None and STDIN not in asked:
        raise UsageError("--stdin-filename names what - is", hint="give the path -")
    if watch and (STDIN in asked or output_file is not None):
        raise UsageError("--watch shows files as they change, on the terminal")
    if watch and (fix or diff):
        raise UsageError("--watch does not edit the files that it watches")
    settings = _settings(
        no_config, select=select, ignore=ignore, strict=strict, format=format
    )
    targets = FileDiscovery(asked, settings, stdin_filename)
    checker = _checker(settings, parse_variables(var or []), env)
    fixes = _fixes(fix, diff, unsafe_fixes, targets, checker)
    manners = ReportOptions(
        settings.format, color, output_file, max_findings, quiet, exit_zero, fixes
    )
    if watch:
        from runner.cli.watch import run_and_watch

        def again(changed: frozenset[Path]) -> int:
            del changed  # it takes less than a blink to check all
            return _run(targets, checker, manners)

        run_and_watch(targets.candidates, again)
        return
    with _without_collection():
        code = _run(targets, checker, manners)
    if code:
        raise typer.Exit(code)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Leave garbage be: looking for it takes a tenth of a check's time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _run(targets: FileDiscovery, checker: Checker, manners: ReportOptions) -> int:
    """Check once, report, and return the exit code."""
    from runner.config.lint.results import CheckedFile, UnreadableFile, gather

    fixes = manners.fixes
    readings = targets.readings()
    checked = list(checker.check(fixes.mend(readings) if fixes else readings))
    results = gather(
        Path.cwd(),
        (each for each in checked if isinstance(each, CheckedFile)),
        (each for each in checked if isinstance(each, UnreadableFile)),
    )
    report(results, manners)
    if results.unreadable:
        return 3
    if fixes and fixes.shows:
        return 1 if fixes.made and not manners.exit_zero else 0
    return 1 if results.summary.errors and not manners.exit_zero else 0


def _settings(
    no_config: bool,
    *,
    select: list[str] | None,
    ignore: list[str] | None,
    strict: bool | None,
    format: Format | None,
) -> Settings:
    """Return the settings of the project, with what the command line says instead."""
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

    environment = load_environment(Path(), os.environ)
    return Checker(
        build_selection(settings, all_rules),
        environment,
        variables,
        env,
        added_kinds=added_kinds,
        check_suite=check_scenarios,
    )


def added_kinds() -> Kinds:
    """Returns the tool kinds of plugins; the tools are loaded only for them."""
    from runner.tools.plugins import added_kinds

    return added_kinds()


def check_scenarios(
    reading: ParsedFile, *, variables: Mapping[str, str], must_run: bool
) -> list[Diagnostic]:
    """Returns the findings of a file of scenarios; they are loaded only for it."""
    from runner.testing.scenarios.loader import check_suite

    return check_suite(reading, variables=variables, must_run=must_run)


def _fixes(
    fix: bool, diff: bool, unsafe: bool, targets: FileDiscovery, checker: Checker
) -> Fixes | None:
    if not fix and not diff:
        if unsafe:
            raise UsageError("--unsafe-fixes does nothing without --fix or --diff")
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
