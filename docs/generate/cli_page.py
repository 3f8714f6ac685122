"""The page of the command line, from the same texts as `--help`."""

from __future__ import annotations

from typing import Any

import typer

from docs.generate.markdown import page, table
from runner.cli.main import build_app

_INTRODUCTION = """Every command has `--help`, which shows the texts of this page in the
terminal. Data goes to stdout, everything else to stderr. The exit codes are listed on
a [page of their own](exit-codes.md)."""


def make_page() -> str:
    """Returns the page."""
    app = typer.main.get_command(build_app())
    return page("# Command line", _INTRODUCTION, *_group(app, "vagent", 2))


# Commands are Any: typer's copy of click is private and has no public types.


def _group(command: Any, path: str, depth: int) -> list[str]:
    blocks = []
    for name, each in getattr(command, "commands", {}).items():
        full = f"{path} {name}"
        blocks += [f"{'#' * depth} {full}", *_command(each, full)]
        blocks += _group(each, full, depth + 1)
    return blocks


def _command(command: Any, path: str) -> list[str]:
    # The widest terminal: texts of options are not broken into lines.
    context = command.make_context(
        path, [], resilient_parsing=True, terminal_width=1000, max_content_width=1000
    )
    usage = " ".join((path, *command.collect_usage_pieces(context)))
    arguments: list[tuple[str, str]] = []
    options: list[tuple[str, str]] = []
    for each in command.get_params(context):
        record = each.get_help_record(context)
        if record is None or "--help" in each.opts:
            continue
        rows = arguments if each.param_type_name == "argument" else options
        rows.append((f"`{record[0]}`", _escaped(record[1])))
    blocks = [f"```text\n{usage}\n```", _escaped(command.help or "")]
    if arguments:
        blocks.append(table(("argument", "meaning"), arguments))
    if options:
        blocks.append(table(("option", "meaning"), options))
    return blocks


def _escaped(text: str) -> str:
    """Keeps the signs that Markdown and HTML would read."""
    text = text.replace("\b\n", "").replace("<", "&lt;")
    return text.replace("*", "\\*").replace("_", "\\_")
