"""`vagent new`: an agent to start from, with its tools, a first test and the schema."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.config.interpolation import find_placeholders
from runner.config.schema import packaged_schema
from runner.config.yaml.nodes import NotJsonError, resolve_plain
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from importlib.resources.abc import Traversable
    from pathlib import Path


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

    ask = _Questions(allowed=not yes and sys.stdin.isatty(), defaults=yes)
    given = name if name is not None else ask.name()
    folder, short = split_name(given)
    if not force:  # before anything else is asked
        _refuse_taken([folder / f"{short}.yaml"])
    known = templates()
    chosen = _find(known, template) if template is not None else ask.template(known)
    words = greeting if greeting is not None else ask.greeting(chosen, short)
    texts = render_template(chosen, short, greeting=words, voice=voice)
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
    from runner.cli.schema import schema_texts, write_all

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


# New agents from templates: what files they are made of, with the names filled in.
#
# A template is a folder under `runner/templates`; its files are written as they stand,
# but for the blanks `AGENT_…` in their names and texts.


_BLANK = re.compile(r"AGENT_(NAME|MODULE|GREETING|VOICE)\b")
# Letters and what stands between them; nothing that YAML reads anything into, nor
# YAML 1.1 into words and dates, which other programs still read.
_PLAIN = re.compile(
    r"(?!(?i:y|n|yes|no|on|off)$)[^\W\d_](?:[\w ,.?!'’()${}_-]*[\w.?!'’)}])?"
)


@dataclass(frozen=True, slots=True)
class Template:
    """What an agent can be begun with; `greeting` is said unless another is given."""

    name: str
    summary: str
    greeting: str


def templates() -> dict[str, Template]:
    """Return the templates by their names, the one for most people first."""
    listed = json.loads(_folder().joinpath("templates.json").read_text("utf-8"))
    return {name: Template(name, **fields) for name, fields in listed.items()}


def split_name(given: str) -> tuple[Path, str]:
    """Return the folder and the name of the agent that `given` asks for.

    Raises `UsageError` for what the schema does not take as a name.
    """
    path = Path(given)
    name = path.stem if path.suffix.lower() in (".yaml", ".yml") else path.name
    field = packaged_schema()["properties"]["name"]
    if given.endswith(("/", "\\")) or not re.search(field["pattern"], name):
        raise UsageError(
            f"{given!r} is no name for an agent: {field['patternErrorMessage']}",
            hint="vagent new pizza, or vagent new agents/pizza",
        )
    if len(name) > field["maxLength"]:
        raise UsageError(
            f"the name {name!r} has {len(name)} characters; "
            f"it takes {field['maxLength']}"
        )
    return path.parent, name


def render_template(
    template: Template, name: str, *, greeting: str, voice: str | None = None
) -> dict[str, str]:
    """Return the texts of a new agent's files by their paths, the agent file first.

    An empty greeting is none: the agent listens first. Raises `UsageError` for a
    greeting or a voice that cannot be written into the file.
    """
    module = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
    code = {"NAME": name, "MODULE": module, "GREETING": None, "VOICE": None}
    data = {
        "NAME": _scalar(name),
        "MODULE": module,
        "GREETING": _scalar(_checked("greeting", greeting)) if greeting else None,
        "VOICE": _scalar(_checked("voice", voice)) if voice else None,
    }
    texts = {}
    for path, text in _files(_folder().joinpath(template.name)):
        # A scenario file names the agent's file, which is text however it is called.
        is_data = path.endswith(".yaml") and not path.endswith(".test.yaml")
        blanks = data if is_data else code
        texts[_fill(path, code)] = _fill(text, blanks)
    _check_variables(greeting, template, texts[f"{name}.yaml"])
    first = f"{name}.yaml"
    return {first: texts.pop(first), **texts}


def _folder() -> Traversable:
    return files("runner").joinpath("templates")


def _files(folder: Traversable, above: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the text of every file of a template."""
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.is_dir():
            # An installer compiles every Python file that it sees.
            if each.name != "__pycache__":
                yield from _files(each, f"{above}{each.name}/")
        else:
            yield above + each.name, each.read_text("utf-8")


def _fill(text: str, blanks: Mapping[str, str | None]) -> str:
    """Fill the blanks of a text; a line whose blank stays empty is left out."""
    lines = []
    for line in text.splitlines(keepends=True):
        if all(blanks[name] is not None for name in _BLANK.findall(line)):
            lines.append(_BLANK.sub(lambda found: blanks[found[1]] or "", line))
    return "".join(lines)


def _scalar(text: str) -> str:
    """Write a text as YAML: plain where that is the same text again, else quoted."""
    try:
        is_text = resolve_plain(text) == text
    except NotJsonError:
        is_text = False
    if is_text and _PLAIN.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=False)


def _checked(what: str, text: str) -> str:
    if not text.replace("\n", "").replace("\t", "").isprintable():
        raise UsageError(f"the {what} {text!r} has characters that cannot be printed")
    return text


def _check_variables(greeting: str, template: Template, text: str) -> None:
    """Refuse a greeting that speaks of what the agent file does not declare."""
    declared = _declared_variables(text)
    for found in find_placeholders(greeting):
        if found.kind == "escape" or found.name in declared:
            continue
        written = greeting[found.start : found.end]
        names = ", ".join(f"${{{name}}}" for name in declared) or "no variables"
        raise UsageError(
            f"the greeting has {written!r}, which the template {template.name!r} "
            "does not declare",
            hint=f"it has {names}; $${{ writes a plain ${{",
        )


def _declared_variables(text: str) -> list[str]:
    from runner.config.source import Source
    from runner.config.yaml.parser import parse_document

    document, _ = parse_document(Source("", text))
    assert document is not None, "a template is YAML"
    return list(document.value.get("variables", ()))
