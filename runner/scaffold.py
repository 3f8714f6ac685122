"""New agents from templates: what files they are made of, with the names filled in.

A template is a folder under `runner/templates`; its files are written as they stand,
but for the blanks `AGENT_…` in their names and texts.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.interpolation import find_placeholders
from runner.config.packaged import packaged_schema
from runner.config.scalars import NotJsonError, resolve_plain
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

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
