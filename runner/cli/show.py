"""`vagent show`: shows an agent with all values resolved, or a recorded call."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.options import parse_variables
from runner.cli.output import write_any_character
from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.config.provenance import Origin, TracedConfig, Use
    from runner.config.yaml.nodes import Pointer
    from runner.engine.agent import ResolvedAgent


FORMATS = ("yaml", "json", "wire")


def show(
    agent: Annotated[
        Path,
        typer.Argument(
            metavar="AGENT|RECORDING",
            help="Agent file, recorded call, or folder of recorded calls.",
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(
            metavar="yaml|json|wire|text",
            help="Format. yaml: with the origin of each value. json: the same as JSON. "
            "wire: the session.update message. text: a recorded call on one page.",
            show_default="yaml, and text for a recording",
        ),
    ] = None,
    var: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Set a variable of the agent file. Repeatable."
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a recorded call, including audio, as one HTML file; - "
            "for stdout.",
        ),
    ] = None,
) -> None:
    """Show an agent with all values resolved, or a recorded call.

    An agent is shown with variables, prompt file, tools and defaults resolved. This
    imports its Python files. Values from the environment are redacted. An unset
    variable is not an error, and a tool that does not load is shown with its problem.

    A recorded call (vagent run … --record FOLDER) is shown with both voices, turns,
    tool calls, latencies, interruptions and losses; a folder of recordings with one
    line for each.

    Exits with 0; 1 when the file has errors or a tool does not load; 2 for wrong usage;
    3 when the file cannot be read.
    """
    write_any_character()  # a prompt can contain any character
    if agent.is_dir() or (agent.name == "session.jsonl" and agent.is_file()):
        from runner.cli.recordings.show import show_recordings

        if var:
            raise UsageError(
                f"--var needs an agent file, and {str(agent)!r} is a recording"
            )
        show_recordings(agent, format or "text", html)
        return
    if html is not None:
        raise UsageError(
            f"--html needs a recorded call, and '{agent}' is an agent file",
            hint="record one with vagent run … --record FOLDER",
        )
    show_agent(agent, format or FORMATS[0], var or [])


def show_agent(path: Path, format: str, variables: list[str]) -> None:
    """Prints a resolved agent file; raises `typer.Exit` if a tool does not load."""
    import os
    import sys

    from runner.config.files import load_environment

    if format not in FORMATS:
        raise UsageError(
            f"unknown format '{format}'", hint=f"use one of: {', '.join(FORMATS)}"
        )
    from runner.engine.agent import resolve

    environment = load_environment(path.parent, os.environ)
    resolution = resolve(path, parse_variables(variables), environment)
    has_color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    typer.echo(write(resolution, format, has_color=has_color), nl=False)
    for name in resolution.unset:
        typer.echo(f"vagent: ${{{name}}} is not set, so calls cannot start", err=True)
    for problem in resolution.problems:
        typer.echo(f"vagent: {problem}", err=True)
    if resolution.problems:
        raise typer.Exit(1)


def write(resolution: ResolvedAgent, format: str, *, has_color: bool = False) -> str:
    """Returns the text of a resolved agent in one of `FORMATS`."""
    import json

    if format == "wire":
        from runner.protocol.codec import encode

        message = json.loads(encode(resolution.update))
        return json.dumps(message, indent=2, ensure_ascii=False) + "\n"
    if format == "json":
        return json.dumps(_report(resolution), indent=2, ensure_ascii=False) + "\n"
    from runner.engine.agent import posix_path

    dim = partial(typer.style, dim=True) if has_color else str
    lines = annotate(resolution.traced, dim)
    return "\n".join([f"# {posix_path(resolution.path)}", *lines, ""])


def _report(resolution: ResolvedAgent) -> dict[str, Any]:
    """Returns the object of `--format json`; its existing keys are stable."""
    from runner.engine.agent import posix_path

    return {
        "type": "vagent.show",
        "path": posix_path(resolution.path),
        "agent": resolution.traced.values,
        "origins": {
            _pointer(path): _origin(origin) for path, origin in resolution.origins()
        },
        "unset": list(resolution.unset),
        "problems": list(resolution.problems),
    }


def _pointer(path: tuple[str | int, ...]) -> str:
    """Returns a JSON pointer (RFC 6901)."""
    parts = (str(each).replace("~", "~0").replace("/", "~1") for each in path)
    return "".join(f"/{part}" for part in parts)


def _origin(origin: Origin) -> dict[str, Any]:
    fields: dict[str, Any] = {"kind": origin.kind}
    for key in ("file", "line", "column", "detail"):
        if getattr(origin, key):
            fields[key] = getattr(origin, key)
    if origin.uses:
        fields["uses"] = [
            {
                "name": use.name,
                "kind": use.origin,
                **({"line": use.line} if use.line else {}),
            }
            for use in origin.uses
        ]
    return fields


_COMMENT_COLUMN = 44  # of the comments with the origin of a value
_CONTAINERS = {("variables",), ("tools",)}
_MAX_LINE_WIDTH = 76  # columns of a list or text on one line
_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9_ ./()'?!;,+-]|:(?=[A-Za-z0-9_/]))*")
_YAML_KEYWORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_DURATION = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:ms|s|m)")
# Characters that JSON allows in strings, but that end a line in YAML or are forbidden.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def annotate(traced: TracedConfig, dim: Callable[[str], str] = str) -> Iterator[str]:
    """Yields an agent as lines of YAML, each with the origin of its value in a comment.

    `dim` styles the comments.
    """
    for text, comment in _Emitter(traced).mapping(traced.values, (), "", ""):
        if not comment:
            yield text
        elif not text.strip():
            yield text + dim(f"# {comment}")
        else:
            yield f"{text:<{_COMMENT_COLUMN - 2}}  " + dim(f"# {comment}")


def describe_origin(origin: Origin) -> str:
    """Returns the origin of a value as text."""
    where = f"line {origin.line}"
    if origin.file is not None:
        where = origin.file if origin.line is None else f"{origin.file}:{origin.line}"
    detail = f": {origin.detail}" if origin.detail else ""
    texts = {
        "file": origin.file or where,
        "given": "--var",
        "default": f"default{detail}",
        "service": "the service's own",
        "unset": f"not set{detail}",
        "signature": f"{where}, signature",
        "docstring": f"{where}, docstring",
        "mark": f"{where}, @tool",
        "plugin": f"the plugin {origin.detail}",
        "unloaded": f"not loaded{detail}",
    }
    return "; ".join([texts[origin.kind], *map(_describe_use, origin.uses)])


def _describe_use(use: Use) -> str:
    texts = {
        "default": f"default, line {use.line}",
        "given": "--var",
        "unset": "not set",
        "environment": "set, not shown",
    }
    return f"${{{use.name}}}: {texts[use.origin]}"


class _Emitter:
    """Yields the lines of an agent, each as text and comment."""

    def __init__(self, traced: TracedConfig) -> None:
        self._traced = traced

    def mapping(
        self, value: dict[str, Any], path: Pointer, first: str, rest: str
    ) -> Iterator[tuple[str, str]]:
        """Yields the lines of a mapping; `first` and `rest` are their indents."""
        lead = first
        for key, each in value.items():
            here = (*path, key)
            if each is None:
                yield rest, f"{key}: {self._origin(here)}"
                continue
            if isinstance(each, dict) and _is_bare(each):
                yield rest, f"{key}:"
                for _, comment in self.mapping(each, here, rest, rest):
                    yield rest, f"  {comment}"
                continue
            yield from self._entry(f"{lead}{_scalar(key)}:", each, here, rest)
            lead = rest

    def _entry(
        self, head: str, value: Any, path: Pointer, indent: str
    ) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict) and value:
            yield head, self._container(path)
            yield from self.mapping(value, path, indent + "  ", indent + "  ")
        elif isinstance(value, list) and value and not _is_flat(value):
            yield head, self._container(path)
            for index, each in enumerate(value):
                yield from self._item(each, (*path, index), indent + "  ")
        elif isinstance(value, str) and _fits_block(value):
            chomping = "" if value.endswith("\n") else "-"
            yield f"{head} |{chomping}", self._origin(path)
            for line in value.removesuffix("\n").split("\n"):
                yield f"{indent}  {line}" if line else "", ""
        else:
            yield f"{head} {_flow(value)}", self._origin(path)

    def _item(
        self, value: Any, path: Pointer, indent: str
    ) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict) and value and not _is_bare(value):
            yield from self.mapping(value, path, f"{indent}- ", f"{indent}  ")
        else:
            yield f"{indent}- {_flow(value)}", self._origin(path)

    def _container(self, path: Pointer) -> str:
        """Returns the comment of a mapping or list; its values can have their own."""
        origin = self._traced.origins.get(path)
        return describe_origin(origin) if origin and path not in _CONTAINERS else ""

    def _origin(self, path: Pointer) -> str:
        return describe_origin(self._traced.origin(path))


def _is_bare(value: dict[str, Any]) -> bool:
    """True if no key of it has a value, so that YAML would read it as null."""
    return bool(value) and all(
        each is None or (isinstance(each, dict) and _is_bare(each))
        for each in value.values()
    )


def _is_flat(value: list[Any]) -> bool:
    if any(isinstance(each, dict | list) for each in value):
        return False
    return len(_flow(value)) <= _MAX_LINE_WIDTH


def _fits_block(text: str) -> bool:
    """True if a text can be written as a block scalar."""
    lines = text.removesuffix("\n").split("\n")
    if len(text) <= _MAX_LINE_WIDTH and len(lines) == 1:
        return False
    if not lines[0] or not lines[-1] or _UNSAFE.search(text):
        return False
    if any(line != line.strip() and not line.strip() for line in lines):
        return False
    if lines[0][0].isspace() or any(line.startswith("\t") for line in lines):
        return False
    return all(line.replace("\t", " ").isprintable() for line in lines)


def _flow(value: Any) -> str:
    """Returns a value on one line."""
    if isinstance(value, dict):
        parts = (
            f"{_scalar(key, in_flow=True)}: {_scalar(each, in_flow=True)}"
            for key, each in value.items()
        )
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_scalar(each, in_flow=True) for each in value) + "]"
    return _scalar(value)


def _scalar(value: Any, *, in_flow: bool = False) -> str:
    if isinstance(value, dict | list):
        return _flow(value)
    if not isinstance(value, str):
        return json.dumps(value)
    if _is_plain(value) and not (in_flow and re.search("[,:?]", value)):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return _UNSAFE.sub(_escape, quoted)


def _escape(found: re.Match[str]) -> str:
    """Returns the escape of a character; a lone surrogate becomes U+FFFD."""
    number = ord(found[0])
    return "\\ufffd" if 0xD800 <= number <= 0xDFFF else f"\\u{number:04x}"


def _is_plain(text: str) -> bool:
    """True if a text needs no quotes in YAML."""
    if _DURATION.fullmatch(text):
        return True
    is_word = _PLAIN.fullmatch(text) and not text.endswith(" ")
    return bool(is_word) and text.lower() not in _YAML_KEYWORDS
