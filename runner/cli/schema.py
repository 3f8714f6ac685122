"""`vagent schema`: prints and writes the JSON Schemas of agent and scenario files."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.config.schema import AGENT_SCHEMA, SUITE_SCHEMA
from runner.errors import FileUnreadable, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runner.config.model import Kinds


def schema(
    place: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PATH]",
            help="Folder or .json file of the schemas. Default: the current folder.",
            show_default=False,
        ),
    ] = None,
    scenario: Annotated[
        bool,
        typer.Option("--scenario", help="Print the schema of scenario files."),
    ] = False,
    write: Annotated[
        bool,
        typer.Option(
            "--write", help=f"Write the files {AGENT_SCHEMA} and {SUITE_SCHEMA}."
        ),
    ] = False,
    vscode: Annotated[
        bool,
        typer.Option(
            "--vscode",
            help="Print the lines for .vscode/settings.json that use the schemas.",
        ),
    ] = False,
) -> None:
    """Print the JSON Schema of agent or scenario files.

    It contains the tool kinds of installed plugins.

    `vagent schema --write agents` writes it and the schema of scenario files into the
    folder of the agents, where their first line finds it (# yaml-language-server:
    $schema=./agent.schema.json). If PATH is a .json file, only one schema is written.
    """
    if not write and not vscode:
        if place is not None:
            raise UsageError(
                "PATH needs --write or --vscode", hint="vagent schema --write agents"
            )
        typer.echo(_text(SUITE_SCHEMA if scenario else AGENT_SCHEMA), nl=False)
        return
    targets = _targets(place or Path(), scenario=scenario)
    settings = _vscode_settings(targets) if vscode else {}
    if write:
        for target, name in targets.items():
            _write(target, _text(name))
    if vscode:
        if write:
            typer.echo("add to .vscode/settings.json:")
        typer.echo(json.dumps(settings, indent=2, ensure_ascii=False))


def schema_texts() -> dict[str, str]:
    """Returns both schemas by file name, as written next to agents and scenarios."""
    return {name: _text(name) for name in (AGENT_SCHEMA, SUITE_SCHEMA)}


def _text(name: str) -> str:
    """Returns the text of a schema: as packaged, unless plugins add tool kinds."""
    if name == SUITE_SCHEMA:
        from runner.testing.scenarios import loader

        return loader.packaged_text()
    from runner.config.schema import agent_schema, packaged_schema, packaged_text

    composed = agent_schema(_installed_schemas())
    if composed == packaged_schema():
        return packaged_text()
    return json.dumps(composed, indent=2, ensure_ascii=False) + "\n"


def _installed_schemas() -> Kinds:
    from runner.tools.plugins import installed_kinds

    return {key: kind.schema for key, kind in installed_kinds().items()}


def _targets(place: Path, *, scenario: bool) -> dict[Path, str]:
    """Returns the files of the schemas, each with the name of its schema."""
    if place.is_dir():
        names = [SUITE_SCHEMA] if scenario else [AGENT_SCHEMA, SUITE_SCHEMA]
        return {place / name: name for name in names}
    if place.suffix.lower() == ".json":
        return {place: SUITE_SCHEMA if scenario else AGENT_SCHEMA}
    raise UsageError(
        f"folder {str(place)!r} does not exist", hint="name a folder or a .json file"
    )


def _write(target: Path, text: str) -> None:
    content = text.encode()
    is_link = target.is_symlink()  # refused below
    if not is_link and target.is_file() and target.read_bytes() == content:
        typer.echo(f"unchanged {target}")
        return
    write_all({target: content}, overwrite=True)
    typer.echo(f"wrote {target}")


def _vscode_settings(targets: dict[Path, str]) -> dict[str, dict[str, list[str]]]:
    """Returns the settings that map each schema to the files it applies to."""
    patterns = {
        f"./{_place(target).as_posix()}": _patterns(_place(target), name)
        for target, name in targets.items()
    }
    return {"yaml.schemas": {path: each for path, each in patterns.items() if each}}


def _place(target: Path) -> Path:
    """Returns the path of a schema relative to this folder."""
    try:
        return target.resolve().relative_to(Path().resolve())
    except ValueError:
        raise UsageError(
            f"{target} is outside of the current folder, whose settings VS Code reads",
            hint="run the command in the folder that you open in VS Code",
        ) from None


def _patterns(place: Path, schema: str) -> list[str]:
    """Returns patterns for the files next to a schema; empty if there are none."""
    folder = place.parent.as_posix()
    if folder != ".":
        tests = [f"{folder}/*.test.yaml", f"{folder}/*.test.yml"]
        if schema == SUITE_SCHEMA:
            return tests
        # Editors without support for exclusions use the first line of the file.
        agents = [f"{folder}/*.yaml", f"{folder}/*.yml"]
        return agents + [f"!{each}" for each in tests]
    # A pattern for this folder would match every YAML file of every folder.
    names = _files_here(schema)
    if not names and schema == AGENT_SCHEMA:
        raise UsageError(
            "the current folder has no agent files for the settings of VS Code",
            hint="create one with vagent new; its first line names the schema too",
        )
    return names


def _files_here(schema: str) -> list[str]:
    from runner.config.files import read_agent_file

    found = [*Path().glob("*.yaml"), *Path().glob("*.yml")]
    readings = [read_agent_file(each) for each in found if each.is_file()]
    return sorted(
        each.path.name
        for each in readings
        if (each.is_suite if schema == SUITE_SCHEMA else each.is_agent)
    )


def write_all(
    files: Mapping[Path, bytes], *, overwrite: bool = False, is_private: bool = False
) -> None:
    """Writes all files and their folders, or none.

    Without `overwrite`, an existing file is an error; a symbolic link always is. With
    `is_private`, only the owner can read new files. Raises `FileUnreadable` after
    restoring the previous state.
    """
    from runner.safe_files import open_new, open_private, refuse_links

    opener = open_private if is_private else open_new
    written: list[tuple[Path, bytes | None]] = []  # with the previous content
    folders: list[Path] = []
    current: Path | None = None
    try:
        for current, content in files.items():
            refuse_links(current)
            folders += _make_folders(current.parent)
            before = _content(current) if overwrite else None
            mode = "wb" if before is not None else "xb"
            with open(current, mode, opener=opener) as file:
                written.append((current, before))
                file.write(content)
    except BaseException as error:
        _undo(written, folders)
        if not isinstance(error, OSError):
            raise
        raise FileUnreadable.from_os_error(current, "written", error) from error


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _make_folders(folder: Path) -> list[Path]:
    """Creates a folder and its parents; returns the new ones, outermost first.

    Deletes them if the last one cannot be created.
    """
    missing = []
    while not os.path.lexists(folder):
        missing.append(folder)
        folder = folder.parent
    made: list[Path] = []
    try:
        for each in reversed(missing):
            each.mkdir()
            made.append(each)
    except OSError:
        _undo([], made)
        raise
    return made


def _undo(written: list[tuple[Path, bytes | None]], folders: list[Path]) -> None:
    for path, before in reversed(written):
        with contextlib.suppress(OSError):
            if before is None:
                path.unlink()
            else:
                path.write_bytes(before)
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            folder.rmdir()
