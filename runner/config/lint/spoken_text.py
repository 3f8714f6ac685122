"""The texts of an agent that are spoken word for word, and the one the model reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.config.diagnostics import Place
from runner.config.interpolation import find_placeholders
from runner.config.lint.references import read_prompt
from runner.config.source import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.source import Source
    from runner.config.yaml.nodes import Pointer


@dataclass(frozen=True, slots=True)
class SpokenText:
    """One text. `path` is where it stands, `file` the prompt file that it fills."""

    text: str
    path: Pointer
    file: Source | None = None

    def place(self, inspection: RuleContext, start: int, end: int) -> Place:
        """The place of some characters of it."""
        if self.file is not None:
            return Place(self.file, Span(start, end))
        return inspection.part(self.path, start, end)

    @property
    def bare(self) -> str:
        """The text with spaces for its placeholders: every other letter in place."""
        text = self.text
        for each in find_placeholders(text):
            blank = " " * (each.end - each.start)
            text = text[: each.start] + blank + text[each.end :]
        return text


def find_prompt(inspection: RuleContext) -> SpokenText | None:
    """Return the prompt, from the agent file or its prompt file."""
    text = inspection.get(("prompt",), str)
    if text is not None:
        return SpokenText(text, ("prompt",))
    source = inspection.fact(read_prompt).source
    return SpokenText(source.text, ("prompt_file",), source) if source else None


def find_spoken(inspection: RuleContext) -> list[SpokenText]:
    """Return what the voice says as it stands in the file, in its order of fields."""
    paths: list[Pointer] = [("greeting",)]
    paths += [(*tool, "announce") for tool in inspection.tools()]
    paths += [("session", "one_minute_left"), ("session", "idle", "say")]
    texts = ((inspection.get(path, str), path) for path in paths)
    return [SpokenText(text, path) for text, path in texts if text is not None]


def value_of(inspection: RuleContext, variable: str) -> str:
    """Return what a variable stands for as far as is known: given, or by default."""
    given = (inspection.variables or {}).get(variable)
    if given is not None:
        return given
    return inspection.get(("variables", variable, "default"), str) or ""


def fill(inspection: RuleContext, text: str) -> str:
    """Return a text with the values of its variables, as far as they are known."""
    return "".join(_pieces(inspection, text))


def _pieces(inspection: RuleContext, text: str) -> Iterator[str]:
    end = 0
    for each in find_placeholders(text):
        yield text[end : each.start]
        yield value_of(inspection, each.name) if each.kind == "variable" else ""
        end = each.end
    yield text[end:]
