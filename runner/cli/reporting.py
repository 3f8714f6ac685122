"""What `validate` has found, told in the way that was asked for."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from runner.cli.output import save

if TYPE_CHECKING:
    from runner.cli.fixes import Fixes
    from runner.config.lint.results import Results


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
