"""Every `${...}` of an agent file and of its prompt file, with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.config.diagnostics import Place
from runner.config.interpolation import (
    Placeholder,
    Policy,
    find_placeholders,
    find_texts,
    policy,
)
from runner.config.lint.references import read_prompt
from runner.config.source import Span

if TYPE_CHECKING:
    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer

# In one text. A file made to have a million would only make the checker slow.
_MOST = 200


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
    """Return the placeholders of all sound texts, in the order of the file."""
    found: list[PlaceholderUse] = []
    for path, text in find_texts(inspection.document.value):
        if "${" in text and inspection.is_sound(path):
            for each in list(find_placeholders(text))[:_MOST]:
                place = inspection.part(path, each.start, each.end)
                found.append(PlaceholderUse(each, place, policy(path), path))
    prompt = inspection.fact(read_prompt).source
    if prompt is not None:
        for each in list(find_placeholders(prompt.text))[:_MOST]:
            place = Place(prompt, Span(each.start, each.end))
            found.append(PlaceholderUse(each, place, "text", ("prompt_file",)))
    return found
