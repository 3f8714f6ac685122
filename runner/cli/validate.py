"""`vagent validate`: all findings of all agent files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.errors import FileUnreadable, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.config.diagnostics import Diagnostic
    from runner.config.model import Kinds

# What a tool of a kind that is not built in looks like at first.
_UNKNOWN_KIND = {"VA203", "VA210"}
_SUFFIXES = {".yaml", ".yml"}


def validate(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH",
            help="Agent files, or folders that are searched for them.",
            show_default=False,
        ),
    ],
) -> None:
    """Check agent files and show what is wrong with them, and where.

    In a folder, YAML files that look like agents are checked (they have a version,
    and a prompt or tools). Nothing in the files is run or imported. Exits with 0 when
    no file has an error (warnings are fine), 1 when one has, 2 when a folder has no
    agent files, 3 when a file could not be read.
    """
    from runner.config.environment import load_environment
    from runner.config.rendering import render

    _write_any_character()
    environment = load_environment(Path(), os.environ)
    found: list[Diagnostic] = []
    checked, unreadable = 0, 0
    for path in list(_agent_files(paths)):
        try:
            found += _check(path, environment)
        except FileUnreadable as error:
            typer.echo(f"vagent: {error.message}", err=True)
            unreadable += 1
        else:
            checked += 1
    typer.echo(render(found), nl=False)
    typer.echo(_summary(checked, unreadable, found), err=True)
    if unreadable:
        raise typer.Exit(3)
    if any(each.is_error for each in found):
        raise typer.Exit(1)


def _check(path: Path, environment: Mapping[str, str]) -> list[Diagnostic]:
    """Check a file; with the kinds of plugins only if it may have use for them."""
    from runner.config.loader import check_file

    found = check_file(path, environment=environment)
    if any(each.rule in _UNKNOWN_KIND for each in found):
        kinds = _added_kinds()
        if kinds:
            found = check_file(path, environment=environment, kinds=kinds)
    return found


def _added_kinds() -> Kinds:
    """Return the kinds that plugins add; nothing is imported when there are none."""
    from importlib.metadata import entry_points

    from runner.config.packaged import builtin_kinds

    names = {each.name for each in entry_points(group="vagent.tool_kinds")}
    if names <= builtin_kinds().keys():
        return {}
    from runner.tools.plugin import installed_kinds

    return {key: kind.schema for key, kind in installed_kinds().items()}


def _agent_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield each file once: as given, and what is an agent's in folders.

    Raises `UsageError` for a folder without any: a check of nothing proves nothing.
    """
    seen: set[Path] = set()
    for path in paths:
        chosen = [path]
        if path.is_dir():
            chosen = [each for each in _yaml_files(path) if _may_be_agent(each)]
            if not chosen:
                raise UsageError(
                    f"no agent files in the folder {path}",
                    hint="an agent file has a version, and a prompt or tools",
                )
        for each in chosen:
            if each not in seen:
                seen.add(each)
                yield each


def _yaml_files(folder: Path) -> Iterator[Path]:
    """Yield the YAML files below a folder, sorted; hidden folders are left out."""
    for current, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(files):
            if Path(name).suffix.lower() in _SUFFIXES:
                yield Path(current, name)


def _refuse(error: OSError) -> None:
    reason = (error.strerror or str(error)).lower()
    raise FileUnreadable(f"{error.filename} cannot be read: {reason}") from error


def _may_be_agent(path: Path) -> bool:
    from runner.config.reading import read_agent_file

    try:
        return read_agent_file(path).is_agent
    except FileUnreadable:
        return True  # to be reported, not passed over


def _summary(checked: int, unreadable: int, found: Sequence[Diagnostic]) -> str:
    errors = sum(each.is_error for each in found)
    parts = [
        _count(checked, "file") + " checked",
        _count(errors, "error"),
        _count(len(found) - errors, "warning"),
    ]
    if unreadable:
        parts.append(_count(unreadable, "file") + " unreadable")
    return ", ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _write_any_character() -> None:
    """Let findings quote any character, whatever the encoding of stdout."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)  # only a text file has it
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
