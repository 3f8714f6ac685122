"""Parses docstrings in Google, NumPy and Sphinx style."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from inspect import cleandoc

_SECTIONS = frozenset(
    (
        "args",
        "arguments",
        "attributes",
        "example",
        "examples",
        "kwargs",
        "note",
        "notes",
        "other_parameters",
        "parameters",
        "params",
        "raises",
        "references",
        "return",
        "returns",
        "see_also",
        "todo",
        "warning",
        "warnings",
        "warns",
        "yield",
        "yields",
    )
)
_PARAMETER_SECTIONS = frozenset(("args", "arguments", "parameters", "params"))

# Google: `name (type): text` or `name: text`, indented below `Args:`.
_GOOGLE_ITEM = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
# NumPy: `name : type` or `name`, or several: `a, b : int`; its text is indented below.
_NUMPY_ITEM = re.compile(r"((?:\*{0,2}\w+)(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?$")
# Sphinx: `:param name: text` or `:param type name: text`.
_SPHINX_PARAMETER = re.compile(
    r":(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)"
)
_SPHINX_FIELD = re.compile(r":\w+(?:\s+[^:]*)?:(?:\s|$)")


@dataclass(frozen=True, slots=True)
class Docstring:
    """The description of a function and of each parameter, each as one line."""

    description: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


def parse_docstring(text: str | None) -> Docstring:
    """Parses a docstring; text outside known sections is the description.

    Paragraphs of the description are separated by an empty line.
    """
    if not text or not text.strip():
        return Docstring()
    description: list[str] = []
    parameters: dict[str, str] = {}
    for section, lines in _split_sections(cleandoc(text).splitlines()):
        if not section:
            description, found = _take_sphinx_fields(lines)
            parameters.update(found)
        elif section in _PARAMETER_SECTIONS:
            parameters.update(_read_items(lines))
    return Docstring(_join_paragraphs(description), parameters)


def _split_sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yields (section name, its lines); the name before the first section is empty."""
    name, collected = "", list[str]()
    skip = False
    for number, line in enumerate(lines):
        if skip:
            skip = False
            continue
        following = lines[number + 1] if number + 1 < len(lines) else ""
        heading = _read_heading(line, following)
        if heading is None:
            collected.append(line)
            continue
        yield name, collected
        name, collected = heading, []
        skip = _is_rule(following)
    yield name, collected


def _read_heading(line: str, following: str) -> str | None:
    """Returns the name of a section from `Args:` or an underlined `Parameters`."""
    word = line.strip().removesuffix(":").lower().replace(" ", "_")
    if word not in _SECTIONS or line[:1].isspace():
        return None
    if line.rstrip().endswith(":") or _is_rule(following):
        return word
    return None


def _is_rule(line: str) -> bool:
    return bool(re.fullmatch(r"\s*-{3,}\s*", line))


def _take_sphinx_fields(lines: list[str]) -> tuple[list[str], dict[str, str]]:
    """Splits `:param …:` fields from the description above them."""
    description: list[str] = []
    parameters: dict[str, str] = {}
    current: str | None = None
    in_fields = False
    for line in lines:
        match = _SPHINX_PARAMETER.match(line)
        if match:
            in_fields, current = True, match[1]
            parameters[current] = match[2].strip()
        elif _SPHINX_FIELD.match(line):
            in_fields, current = True, None
        elif not in_fields:
            description.append(line)
        elif current and line.strip():
            parameters[current] = f"{parameters[current]} {line.strip()}".strip()
    return description, parameters


def _read_items(lines: list[str]) -> dict[str, str]:
    """Returns the parameters of a section; indented lines continue the one above."""
    block = cleandoc("\n".join(["", *lines])).splitlines()
    items: dict[str, str] = {}
    current: tuple[str, ...] = ()
    for line in block:
        if not line.strip():
            continue
        if line[0].isspace():
            for name in current:
                items[name] = f"{items[name]} {line.strip()}".strip()
            continue
        current = _read_item(line, items)
    return items


def _read_item(line: str, items: dict[str, str]) -> tuple[str, ...]:
    # `order_id : str` is NumPy's (a type after the space), `order_id: text` Google's.
    google = _GOOGLE_ITEM.match(line)
    if google and not re.match(r"\*{0,2}\w+\s+:", line):
        items[google[1]] = google[2].strip()
        return (google[1],)
    numpy = _NUMPY_ITEM.match(line)
    if not numpy:
        return ()
    names = tuple(name.strip(" *") for name in numpy[1].split(","))
    for name in names:
        items[name] = ""
    return names


def _join_paragraphs(lines: list[str]) -> str:
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip())
    return "\n\n".join(" ".join(part.split()) for part in paragraphs).strip()
