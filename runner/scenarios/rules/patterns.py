"""Rule VA707: the words and regular expressions that are looked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import Finding, quoted
from runner.config.lint.regex import is_catastrophic
from runner.config.rules.rule import rule
from runner.testing.scenarios.drafts import find_drafts
from runner.testing.scenarios.model import read_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer
    from runner.testing.scenarios.drafts import ExpandedScenario


@rule("VA707", "pattern-invalid")
def pattern_invalid(inspection: RuleContext) -> Iterator[Finding]:
    """A text between slashes is no regular expression, or one that may take for ever.

    `/…/` is a regular expression of Python, and is found anywhere in what was said;
    without slashes a text is looked for as it stands. Letter case, line breaks and
    typographic quotes make no difference to either.

    Bad:
        agent: shop.yaml
        scenarios:
          - name: greets
            turns:
              - agent: /(help/

    Good:
        agent: shop.yaml
        scenarios:
          - name: greets
            turns:
              - agent: /(help|do for you)/
    """
    seen: set[tuple[Pointer, str]] = set()
    for draft in inspection.fact(find_drafts):
        for path, text in _patterns(draft):
            if (path, text) in seen:
                continue
            seen.add((path, text))
            why = _fault(text)
            if why is not None:
                yield Finding(inspection.value(path), *why, spoils=path)


def _fault(text: str) -> tuple[str, str] | None:
    shown = quoted(text)[1:-1]
    try:
        pattern = read_pattern(text)
    except (re.error, RecursionError, OverflowError) as error:
        reason = str(getattr(error, "msg", None) or error)
        message = f"`{shown}` is no regular expression: {reason}"
        return message, "take the slashes away to look for a text as it stands"
    if pattern.regex.pattern and text.startswith("/") and is_catastrophic(text[1:-1]):
        message = f"`{shown}` can take for ever to find out that it does not match"
        return message, "do not repeat what itself repeats"
    return None


def _patterns(draft: ExpandedScenario) -> Iterator[tuple[Pointer, str]]:
    llm = draft.part("llm")
    for index, each in enumerate(llm.value if llm is not None else ()):
        assert llm is not None
        yield from _each(each.get("user_says"), (*llm.path, index, "user_says"))
    for turn in draft.turns:
        ((kind, value),) = turn.value.items()
        path = (*turn.path, kind)
        if kind == "agent" and not isinstance(value, dict):
            yield from _each(value, path)
        elif kind in ("agent", "expect"):
            for key in ("says", "never", "never_says"):
                # What the user says is no pattern.
                yield from _each(value.get(key), (*path, key))


def _each(value: Any, path: Pointer) -> Iterator[tuple[Pointer, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield (*path, index), each
