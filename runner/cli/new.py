"""`vagent new`: an agent to start from, with its tools, a first test and the schema."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from runner.scaffold import Template


def new(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Name of the agent, with a folder if wanted: agents/pizza.",
            show_default=False,
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            metavar="support|booking|blank|http-only",
            help="Template. Default: support.",
        ),
    ] = None,
    greeting: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Greeting of the agent; '' for none.",
        ),
    ] = None,
    voice: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Voice of the agent."),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Use the defaults without asking."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite existing files.")
    ] = False,
) -> None:
    """Create an agent from a template.

    Writes the agent file, its tools, a first test and the schema for editors; all files
    or none. At a terminal it asks for the values that the options leave open.
    """
    from runner import scaffold

    ask = _Questions(allowed=not yes and sys.stdin.isatty(), defaults=yes)
    given = name if name is not None else ask.name()
    folder, short = scaffold.split_name(given)
    if not force:  # before anything else is asked
        _refuse_taken([folder / f"{short}.yaml"])
    known = scaffold.templates()
    chosen = _find(known, template) if template is not None else ask.template(known)
    words = greeting if greeting is not None else ask.greeting(chosen, short)
    texts = scaffold.render_template(chosen, short, greeting=words, voice=voice)
    _write(folder, texts, force=force)
    _say_next([folder / each for each in texts])


def _find(known: dict[str, Template], name: str) -> Template:
    if name not in known:
        raise UsageError(
            f"there is no template {name!r}", hint=f"there are: {', '.join(known)}"
        )
    return known[name]


class _Questions:
    """What the options leave open: asked, or taken as it is, or refused."""

    def __init__(self, *, allowed: bool, defaults: bool) -> None:
        self._allowed = allowed
        self._defaults = defaults

    def name(self) -> str:
        if not self._allowed:
            raise UsageError(
                "the name of the agent is missing", hint="vagent new agents/pizza --yes"
            )
        return self._ask("Name of the agent", None, _checked_name)

    def template(self, known: dict[str, Template]) -> Template:
        first = next(iter(known.values()))
        if not self._may_ask("--template"):
            return first
        width = max(map(len, known))
        for each in known.values():
            typer.echo(f"  {each.name:<{width}}  {each.summary}", err=True)
        asked = self._ask("Template", first.name, lambda name: _find(known, name).name)
        return known[asked]

    def greeting(self, template: Template, name: str) -> str:
        from runner.scaffold import render_template

        def check(words: str) -> str:
            render_template(template, name, greeting=words)
            return words

        if not self._may_ask("--greeting"):
            return template.greeting
        return self._ask("Greeting", template.greeting, check)

    def _may_ask(self, option: str) -> bool:
        if not self._allowed and not self._defaults:
            raise UsageError(
                f"{option} is not given, and there is no terminal to ask on",
                hint="--yes takes the defaults",
            )
        return self._allowed

    def _ask(self, words: str, default: str | None, check: Callable[[str], str]) -> str:
        def convert(text: str) -> str:
            try:
                return check(text.strip())
            except UsageError as error:
                raise typer.BadParameter(error.with_hint) from error

        try:
            answer = typer.prompt(words, default, value_proc=convert, err=True)
        except typer.Abort:  # Ctrl-C or Ctrl-D at a question: nothing is written
            typer.echo(err=True)
            raise typer.Exit(130) from None
        return str(answer)


def _checked_name(given: str) -> str:
    from runner.scaffold import split_name

    split_name(given)
    return given


def _refuse_taken(paths: Iterable[Path]) -> None:
    taken = [str(each) for each in paths if os.path.lexists(each)]
    if taken:
        are = "is" if len(taken) == 1 else "are"
        raise UsageError(
            f"{', '.join(taken)} {are} there already; nothing was written",
            hint="choose another name, or overwrite with --force",
        )


def _write(folder: Path, texts: dict[str, str], *, force: bool) -> None:
    from runner.cli.schema import schema_texts
    from runner.writing import write_all

    files = {folder / path: text.encode() for path, text in texts.items()}
    if not force:
        _refuse_taken(files)
    kept = []
    for name, content in schema_texts().items():
        schema = folder / name
        if force or not os.path.lexists(schema):
            files[schema] = content.encode()
        elif schema.is_file() and schema.read_bytes() != content.encode():
            kept.append(str(schema))
    write_all(files, overwrite=force)
    for each in files:
        typer.echo(f"wrote {each}")
    if kept:  # other agents share it
        what = "it" if len(kept) == 1 else "them"
        typer.echo(
            f"kept {' and '.join(kept)}, which another vagent wrote; "
            f"to renew {what}: vagent schema --write {shlex.quote(str(folder))}",
            err=True,
        )


def _say_next(paths: list[Path]) -> None:
    agent = shlex.quote(str(paths[0]))
    test = next(each for each in paths if each.name.endswith(".test.yaml"))
    typer.echo("next:", err=True)
    for command in (
        f"vagent validate {agent}",
        f"vagent run {agent} --text",
        f"vagent test {shlex.quote(str(test))}",
    ):
        typer.echo(f"  {command}", err=True)
