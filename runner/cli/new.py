"""`vagent new`: creates an agent, its tools and a first test from a template."""

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
from runner.config.yaml.writer import write_scalar, write_yaml
from runner.errors import UsageError, counted

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
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Convert an agent of another tool: Vapi, Retell, ElevenLabs, "
            "docker-agent, ADK, or a list of OpenAI tools (JSON or YAML).",
        ),
    ] = None,
    ci: Annotated[
        str | None,
        typer.Option(
            metavar="github",
            help="Write a workflow that validates and tests the agents of the folder "
            "in continuous integration, into .github/workflows.",
        ),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Use the defaults without asking."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite existing files.")
    ] = False,
) -> None:
    """Create an agent from a template or a file of another tool.

    Writes the agent file, its tools, a first test and the schema for editors; all files
    or none. At a terminal it asks for the values that the options leave open.

    With --from, the file's agent is converted, and what has no counterpart is listed
    with its line. NAME defaults to the agent's name.
    """
    if ci not in (None, "github"):
        raise UsageError(f"unknown --ci '{ci}'", hint="use github")
    if source is not None:
        if template is not None or greeting is not None or voice is not None:
            raise UsageError("--from contradicts --template, --greeting and --voice")
        _convert(source, name, force=force)
        return
    ask = _Questions(allowed=not yes and sys.stdin.isatty(), defaults=yes)
    given = name if name is not None else ask.name()
    folder, short = split_name(given)
    if not force:  # before the other questions
        _refuse_existing([folder / f"{short}.yaml"])
    known = templates()
    chosen = _find(known, template) if template is not None else ask.template(known)
    text = greeting if greeting is not None else ask.greeting(chosen, short)
    texts = render_template(chosen, short, greeting=text, voice=voice)
    from runner.config.files import find_agents

    if ci is not None and not force:
        _refuse_existing([_WORKFLOW])
    others = find_agents(folder) if folder.is_dir() else []
    _write(folder, texts, force=force)
    if ci is not None:
        _write_workflow(folder)
    _print_next_steps([folder / each for each in texts])
    _mention_modelines(folder, others)


def _convert(source: Path, name: str | None, *, force: bool) -> None:
    """Converts the agent of another tool; lists what was not converted."""
    from runner.config.conversion import convert
    from runner.config.files import read_agent_file
    from runner.errors import ConfigError

    reading = read_agent_file(source)
    errors = [each for each in reading.findings if each.is_error]
    if reading.document is None or errors:
        raise ConfigError(f"{source} is not valid YAML or JSON", errors)
    result = convert(reading.document)
    if result is None:
        raise UsageError(
            f"{source} is not an agent of a known format",
            hint="see `vagent new --help` for the formats",
        )
    folder, short = split_name(name or str(result.agent["name"]))
    agent = {"version": 1, **result.agent, "name": short}
    if not agent.get("prompt"):
        agent["prompt"] = "Describe the agent and its task here."
    order = ("version", "name", "prompt", "greeting")
    ordered = {key: agent[key] for key in order if key in agent} | agent
    modeline = "# yaml-language-server: $schema=./agent.schema.json\n"
    texts = {f"{short}.yaml": modeline + write_yaml(ordered)}
    if result.functions:
        texts["tools/converted.py"] = _functions(result.functions)
    _write(folder, texts, force=force)
    for note in result.notes:
        typer.echo(f"{source}:{note.line}: not converted: {note.path}: {note.text}")
    path = shlex.quote(str(folder / f"{short}.yaml"))
    typer.echo(f"converted from {result.format}; next:", err=True)
    typer.echo(f"  vagent validate {path}\n  vagent run {path} --text", err=True)


def _functions(functions: Mapping[str, str]) -> str:
    """Returns a Python file with a function for each tool, to be completed."""
    parts = ['"""Tools of a converted agent. Write the body of each function."""\n']
    for name, description in functions.items():
        parts.append(
            f"\n\ndef {name}(**arguments: object) -> object:\n"
            f"    {json.dumps(description, ensure_ascii=False)}\n"
            f'    raise NotImplementedError("{name} is not written yet")\n'
        )
    return "".join(parts)


def _find(known: dict[str, Template], name: str) -> Template:
    if name not in known:
        raise UsageError(
            f"unknown template {name!r}", hint=f"use one of: {', '.join(known)}"
        )
    return known[name]


class _Questions:
    """Asks for values without an option, uses their defaults, or raises."""

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
        def check(text: str) -> str:
            render_template(template, name, greeting=text)
            return text

        if not self._may_ask("--greeting"):
            return template.greeting
        return self._ask("Greeting", template.greeting, check)

    def _may_ask(self, option: str) -> bool:
        if not self._allowed and not self._defaults:
            raise UsageError(
                f"{option} is missing, and stdin is not a terminal",
                hint="use the defaults with --yes",
            )
        return self._allowed

    def _ask(
        self, question: str, default: str | None, check: Callable[[str], str]
    ) -> str:
        def convert(text: str) -> str:
            try:
                return check(text.strip())
            except UsageError as error:
                raise typer.BadParameter(error.with_hint) from error

        try:
            answer = typer.prompt(question, default, value_proc=convert, err=True)
        except typer.Abort:  # Ctrl-C or Ctrl-D at a question: nothing is written
            typer.echo(err=True)
            raise typer.Exit(130) from None
        return str(answer)


def _checked_name(given: str) -> str:
    split_name(given)
    return given


def _refuse_existing(paths: Iterable[Path]) -> None:
    existing = [str(each) for each in paths if os.path.lexists(each)]
    if existing:
        verb = "exists" if len(existing) == 1 else "exist"
        raise UsageError(
            f"{', '.join(existing)} {verb} already; nothing was written",
            hint="choose another name, or overwrite with --force",
        )


def _write(folder: Path, texts: dict[str, str], *, force: bool) -> None:
    from runner.cli.schema import schema_texts, write_all

    files = {folder / path: text.encode() for path, text in texts.items()}
    if not force:
        _refuse_existing(files)
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
    if kept:  # other agents can use it
        pronoun = "it" if len(kept) == 1 else "them"
        typer.echo(
            f"kept {' and '.join(kept)} of another version of vagent; "
            f"to update {pronoun}: vagent schema --write {shlex.quote(str(folder))}",
            err=True,
        )


_WORKFLOW = Path(".github/workflows/agents.yml")
# `$VAGENT` is set by the action.
_WORKFLOW_TEXT = """\
# Validates and tests the voice agents in AGENTS_FOLDER on every pull request.
# Replace OWNER with the owner of the repository of vagent.
name: agents
on: [push, pull_request]
jobs:
  agents:
    runs-on: ubuntu-latest
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.12"}
      - uses: OWNER/vagent@main
        with:
          paths: AGENTS_FOLDER
          strict: "true"
      # Runs the scenarios (*.test.yaml) in virtual time. It needs no key.
      - run: |-
          "$VAGENT" test QUOTED_FOLDER --format github
"""


def _write_workflow(folder: Path) -> None:
    from runner.cli.schema import write_all

    name = folder.as_posix()
    text = _WORKFLOW_TEXT.replace("AGENTS_FOLDER", name)
    text = text.replace("QUOTED_FOLDER", shlex.quote(name))
    write_all({_WORKFLOW: text.encode()}, overwrite=True)
    typer.echo(f"wrote {_WORKFLOW}")


def _mention_modelines(folder: Path, others: Iterable[Path]) -> None:
    """Mentions agents that were here before and are not connected to the schema."""
    from runner.config.files import find_modeline

    without = [
        each
        for each in others
        if find_modeline(each.read_text("utf-8", "replace")) is None
    ]
    if without:
        command = f"vagent validate --fix {shlex.quote(str(folder))}"
        text = f"editors check {counted(len(without), 'older file')} here after"
        typer.echo(f"{text}: {command}", err=True)


def _print_next_steps(paths: list[Path]) -> None:
    agent = shlex.quote(str(paths[0]))
    test = next(each for each in paths if each.name.endswith(".test.yaml"))
    typer.echo("next:", err=True)
    for command in (
        f"vagent validate {agent}",
        f"vagent run {agent} --text",
        f"vagent test {shlex.quote(str(test))}",
    ):
        typer.echo(f"  {command}", err=True)


# A template is a folder of `runner/templates`. The placeholders `AGENT_…` in the names
# and texts of its files are replaced.
_PLACEHOLDER = re.compile(r"AGENT_(NAME|MODULE|GREETING|VOICE)\b")
# Text that needs no quotes in YAML: letters and punctuation without a meaning in YAML,
# nor in YAML 1.1, which other programs read (booleans, dates).
_PLAIN = re.compile(
    r"(?!(?i:y|n|yes|no|on|off)$)[^\W\d_](?:[\w ,.?!'’()${}_-]*[\w.?!'’)}])?"
)


@dataclass(frozen=True, slots=True)
class Template:
    """A template; `greeting` is its default greeting."""

    name: str
    summary: str
    greeting: str


def templates() -> dict[str, Template]:
    """Returns the templates by name, the default first."""
    listed = json.loads(_folder().joinpath("templates.json").read_text("utf-8"))
    return {name: Template(name, **fields) for name, fields in listed.items()}


def split_name(given: str) -> tuple[Path, str]:
    """Returns the folder and the name of an agent from the argument NAME.

    Raises `UsageError` if the name does not match the schema.
    """
    path = Path(given)
    name = path.stem if path.suffix.lower() in (".yaml", ".yml") else path.name
    field = packaged_schema()["properties"]["name"]
    if given.endswith(("/", "\\")) or not re.search(field["pattern"], name):
        raise UsageError(
            f"invalid agent name {given!r}: {field['patternErrorMessage']}",
            hint="vagent new pizza, or vagent new agents/pizza",
        )
    if len(name) > field["maxLength"]:
        raise UsageError(
            f"agent name {name!r} is too long: {len(name)} characters, "
            f"at most {field['maxLength']}"
        )
    return path.parent, name


def render_template(
    template: Template, name: str, *, greeting: str, voice: str | None = None
) -> dict[str, str]:
    """Returns the texts of the files of a new agent by path, the agent file first.

    With an empty greeting the agent listens first. Raises `UsageError` for a greeting
    or a voice that cannot be written to the file.
    """
    module = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
    code = {"NAME": name, "MODULE": module, "GREETING": None, "VOICE": None}
    data = {
        "NAME": write_scalar(name, _PLAIN),
        "MODULE": module,
        "GREETING": _scalar("greeting", greeting),
        "VOICE": _scalar("voice", voice),
    }
    texts = {}
    for path, text in _files(_folder().joinpath(template.name)):
        # Scenario files contain the name only inside of longer text, so without quotes.
        is_data = path.endswith(".yaml") and not path.endswith(".test.yaml")
        texts[_fill(path, code)] = _fill(text, data if is_data else code)
    _check_variables(greeting, template, texts[f"{name}.yaml"])
    first = f"{name}.yaml"
    return {first: texts.pop(first), **texts}


def _folder() -> Traversable:
    return files("runner").joinpath("templates")


def _files(folder: Traversable, above: str = "") -> Iterator[tuple[str, str]]:
    """Yields the path and the text of every file of a template."""
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.is_dir():
            # Installers compile the Python files of templates, too.
            if each.name != "__pycache__":
                yield from _files(each, f"{above}{each.name}/")
        else:
            yield above + each.name, each.read_text("utf-8")


def _fill(text: str, values: Mapping[str, str | None]) -> str:
    """Replaces the placeholders; omits lines with a placeholder whose value is None."""
    lines = []
    for line in text.splitlines(keepends=True):
        if all(values[name] is not None for name in _PLACEHOLDER.findall(line)):
            lines.append(_PLACEHOLDER.sub(lambda found: values[found[1]] or "", line))
    return "".join(lines)


def _scalar(what: str, text: str | None) -> str | None:
    """Returns a text as a YAML scalar, None for an empty one."""
    if not text:
        return None
    if not text.replace("\n", "").replace("\t", "").isprintable():
        raise UsageError(f"the {what} {text!r} contains unprintable characters")
    return write_scalar(text, _PLAIN)


def _check_variables(greeting: str, template: Template, text: str) -> None:
    """Raises UsageError if the greeting uses a variable that is not declared."""
    declared = _declared_variables(text)
    for found in find_placeholders(greeting):
        if found.kind == "escape" or found.name in declared:
            continue
        written = greeting[found.start : found.end]
        names = ", ".join(f"${{{name}}}" for name in declared) or "no variables"
        raise UsageError(
            f"the greeting uses {written!r}, which the template {template.name!r} "
            "does not declare",
            hint=f"it has {names}; $${{ writes a plain ${{",
        )


def _declared_variables(text: str) -> list[str]:
    from runner.config.source import Source
    from runner.config.yaml.parser import parse_document

    document, _ = parse_document(Source("", text))
    assert document is not None, "a template is YAML"
    return list(document.value.get("variables", ()))
