"""`vagent diff`: compares two agents in configuration and behavior."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.cli.reports.diff import Comparison
    from runner.testing.scenarios.model import Scenario

FORMATS = ("text", "markdown", "json")


def diff(
    old: Annotated[
        str,
        typer.Argument(
            help="Agent file, or REVISION:PATH (HEAD~1:agents/support.yaml)."
        ),
    ],
    new: Annotated[
        str | None,
        typer.Argument(
            help="Agent file to compare with. Default: OLD is compared with its "
            "last commit."
        ),
    ] = None,
    scenarios: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="Scenario files to run on both. Default: the scenarios of NEW.",
        ),
    ] = None,
    no_scenarios: Annotated[
        bool, typer.Option("--no-scenarios", help="Compare only the configuration.")
    ] = False,
    service: Annotated[
        str,
        typer.Option(
            metavar="script|local|assemblyai|URL", help="Voice-agent service."
        ),
    ] = "script",
    format: Annotated[
        str, typer.Option(metavar="|".join(FORMATS), help="Format of the report.")
    ] = "text",
    output_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report to this file.")
    ] = None,
    exit_zero: Annotated[
        bool,
        typer.Option("--exit-zero", help="Exit with 0 even if there are differences."),
    ] = False,
) -> None:
    """Show the differences between two agents.

    The prompt is compared word by word, tools by name and schema. For the behavior, the
    scenarios of NEW run on both agents.

    Exits with 0 when nothing differs, 1 when something does, 2 for wrong usage, 3 when
    a file cannot be read.
    """
    if format not in FORMATS:
        raise UsageError(
            f"unknown format '{format}'", hint=f"use one of: {', '.join(FORMATS)}"
        )
    if no_scenarios and scenarios:
        raise UsageError("--scenarios and --no-scenarios contradict each other")
    from runner.cli.output import escape_controls, save
    from runner.cli.reports import diff
    from runner.testing.diff import committed

    if new is None:
        old, new = committed(Path(old)), old
    comparison = _compare(
        old, new, None if no_scenarios else tuple(scenarios or ()), service
    )
    text = escape_controls(getattr(diff, f"write_{format}")(comparison))
    if output_file is None:
        typer.echo(text, nl=False)
    else:
        save(output_file, text)
    if not comparison.is_empty and not exit_zero:
        raise typer.Exit(1)


def _compare(
    old: str, new: str, targets: Sequence[str] | None, service: str
) -> Comparison:
    from runner.cli.reports.diff import Comparison
    from runner.config.files import load_environment
    from runner.engine.agent import resolve
    from runner.testing.diff import agent_file, compare_behavior, compare_sending
    from runner.testing.runner import TestOptions

    environment = load_environment(Path(), os.environ)
    with agent_file(old) as before, agent_file(new) as after:
        values = [
            resolve(path, {}, environment).traced.values for path in (before, after)
        ]
        selected = () if targets is None else _scenarios(targets, after)
        options = TestOptions(service=service, environment=environment)
        return Comparison(
            old,
            new,
            compare_sending(*values),
            compare_behavior(selected, before, after, options),
        )


def _scenarios(targets: Sequence[str], agent: Path) -> list[Scenario]:
    """Returns the scenarios of the command line, by default those of the agent."""
    from runner.testing.discovery import load_scenarios

    if targets:
        return load_scenarios(targets)
    with contextlib.suppress(UsageError):  # the agent has no scenarios
        found = load_scenarios([str(agent)])
        return [each for each in found if each.agent.resolve() == agent.resolve()]
    return []
