"""Placeholders as other tools write them, in what an agent says or is told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from runner.config.diagnostics import Place
from runner.config.interpolation import find_texts, policy
from runner.config.lint.references import read_prompt
from runner.config.source import Span
from runner.config.spelling import is_surely, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.source import Source

_MOST = 200  # in one text, as for our own placeholders
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
    """Return those of all sound texts and of the prompt file."""
    declared = inspection.get(("variables",), dict) or {}
    found: list[ForeignPlaceholder] = []
    for path, text in find_texts(inspection.document.value):
        if not any(each in text for each in "{$") or policy(path) != "text":
            continue
        if inspection.is_sound(path):
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
        for found in list(re.finditer(form, text, re.ASCII))[:_MOST]:
            name = found[1] if found.re.groups else ""
            variable = name if name in declared else None
            if form == _DOUBLE and variable is None:
                variable = _meant(name, declared)
            if variable is not None or form in (_DOUBLE, _TAG):
                yield ForeignPlaceholder(place(*found.span()), found[0], variable)


def _meant(name: str, declared: Collection[str]) -> str | None:
    guess = nearest(name, declared)
    return guess if guess and is_surely(name, guess) else None
