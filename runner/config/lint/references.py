"""The prompt file of an agent: read once, or why it cannot be."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from runner.config.diagnostics import Place
from runner.config.files import resolve_inside
from runner.config.interpolation import (
    Placeholder,
    Policy,
    find_placeholders,
    find_texts,
    policy,
)
from runner.config.source import Source, SourceError, Span, read_source
from runner.config.spelling import is_certain_guess, nearest
from runner.errors import FileUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.source import Source
    from runner.config.yaml.nodes import Pointer


Problem = Literal["outside", "hidden", "missing", "unreadable", "no text", "empty"]


@dataclass(frozen=True, slots=True)
class PromptFile:
    """The result of reading `prompt_file`; all None without the field."""

    reference: str | None = None
    source: Source | None = None
    problem: Problem | None = None
    message: str = ""  # of an unreadable file
    fault: SourceError | None = None  # of a file that is not text


def read_prompt(inspection: RuleContext) -> PromptFile:
    """Reads the prompt file, if the agent has one and it may be read."""
    reference = inspection.get(("prompt_file",), str)
    if reference is None:
        return PromptFile()
    real = resolve_inside(inspection.folder, reference)
    if real is None:
        return PromptFile(reference, problem="outside")
    inner = real.relative_to(inspection.folder.resolve()).parts
    if any(_is_private(each) for each in (*Path(reference).parts, *inner)):
        return PromptFile(reference, problem="hidden")
    # Unlike pathlib's, it answers for names that no file can have, too.
    if not os.path.exists(real):
        return PromptFile(reference, problem="missing")
    shown = str(Path(inspection.document.source.path).parent / reference)
    try:
        source = read_source(real, shown)
    except FileUnreadable as error:
        return PromptFile(reference, problem="unreadable", message=error.message)
    except SourceError as fault:
        return PromptFile(reference, problem="no text", fault=fault)
    if not source.text.strip():
        return PromptFile(reference, problem="empty")
    return PromptFile(reference, source)


def _is_private(name: str) -> bool:
    """True for a hidden file or folder, and for other files of an environment."""
    is_hidden = name.startswith(".") and name not in (".", "..")
    return is_hidden or name.lower().endswith(".env") or name.lower() == "env"


# Every `${...}` of an agent file and of its prompt file, with its place.


# In one text. A file made to have a million would only make the checker slow.
_MAX_PLACEHOLDERS = 200


@dataclass(frozen=True, slots=True)
class PlaceholderUse:
    """One placeholder: where, and what may stand there.

    `path` is that of its text; of `prompt_file` for a placeholder in that file.
    """

    placeholder: Placeholder
    place: Place
    allowed: Policy
    path: Pointer

    @property
    def text(self) -> str:
        """The placeholder as it is written."""
        start, end = self.place.span
        return self.place.source.text[start:end]


def find_uses(inspection: RuleContext) -> list[PlaceholderUse]:
    """Returns the placeholders of all valid texts, in the order of the file."""
    found: list[PlaceholderUse] = []
    for path, text in find_texts(inspection.document.value):
        if "${" in text and inspection.is_valid(path):
            for each in islice(find_placeholders(text), _MAX_PLACEHOLDERS):
                place = inspection.part(path, each.start, each.end)
                found.append(PlaceholderUse(each, place, policy(path), path))
    prompt = inspection.fact(read_prompt).source
    if prompt is not None:
        for each in islice(find_placeholders(prompt.text), _MAX_PLACEHOLDERS):
            place = Place(prompt, Span(each.start, each.end))
            found.append(PlaceholderUse(each, place, "text", ("prompt_file",)))
    return found


# Placeholders in the syntax of other tools, in spoken texts and prompts.


# `{{name}}`, `{{ user.name | upper }}`, `{{#if name}}`: Mustache, Jinja and Liquid; not
# doubled braces around an example in JSON.
_DOUBLE = r"(?<![${])\{\{\s*([A-Za-z_#/^][^{}\r\n]{0,80}?)\s*\}\}(?!\})"
_TAG = r"\{%-?\s*[a-z]+\b[^%{}\r\n]{0,80}%\}"
# These are ordinary text unless a variable has the name.
_SINGLE = r"(?<![${])\{([A-Za-z_][A-Za-z0-9_]*)\}(?!\})"
_DOLLAR = r"(?<![$\w])\$([A-Za-z_][A-Za-z0-9_]*)"


@dataclass(frozen=True, slots=True)
class ForeignPlaceholder:
    """One of them: as it is written, and the variable that it means, if it is one."""

    place: Place
    written: str
    variable: str | None


def find_templates(inspection: RuleContext) -> list[ForeignPlaceholder]:
    """Returns those of all valid texts and of the prompt file."""
    declared = inspection.get(("variables",), dict) or {}
    found: list[ForeignPlaceholder] = []
    for path, text in find_texts(inspection.document.value):
        if not any(each in text for each in "{$") or policy(path) != "text":
            continue
        if inspection.is_valid(path):
            found += _search(text, declared, partial(inspection.part, path))
    prompt = inspection.fact(read_prompt).source
    if prompt is not None:
        found += _search(prompt.text, declared, partial(_place, prompt))
    return found


def _place(source: Source, start: int, end: int) -> Place:
    return Place(source, Span(start, end))


def _search(
    text: str, declared: Collection[str], place: Callable[[int, int], Place]
) -> Iterator[ForeignPlaceholder]:
    for form in (_DOUBLE, _TAG, _SINGLE, _DOLLAR):
        for found in islice(re.finditer(form, text, re.ASCII), _MAX_PLACEHOLDERS):
            name = found[1] if found.re.groups else ""
            variable = name if name in declared else None
            if form == _DOUBLE and variable is None:
                variable = _meant(name, declared)
            if variable is not None or form in (_DOUBLE, _TAG):
                yield ForeignPlaceholder(place(*found.span()), found[0], variable)


def _meant(name: str, declared: Collection[str]) -> str | None:
    guess = nearest(name, declared)
    return guess if guess and is_certain_guess(name, guess) else None
