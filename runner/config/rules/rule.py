"""What a rule is: an id, one small function, and the documentation beside it.

The documentation is the function's docstring: a summary in the first line, the reason
in paragraphs, and two examples under `Bad:` and `Good:`. `vagent validate --explain`
and docs/reference/rules/ show it; tests hold the examples to what they claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from inspect import cleandoc
from typing import TYPE_CHECKING, TypeAlias

from runner.config.diagnostics import Finding

if TYPE_CHECKING:
    from runner.config.diagnostics import Severity
    from runner.config.lint.context import RuleContext


Check: TypeAlias = "Callable[[RuleContext], Iterator[Finding]]"


@dataclass(frozen=True, slots=True)
class Documentation:
    """What `--explain` shows of a rule; the examples are YAML."""

    summary: str
    why: str
    bad: str
    good: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `check` is None where the finding is made while the file is read."""

    id: str
    name: str  # for people, in kebab case
    severity: Severity
    text: str
    check: Check | None = None

    @property
    def documentation(self) -> Documentation:
        """The parts of the rule's text; raises `ValueError` when one is missing."""
        head, bad_mark, rest = cleandoc(self.text).partition("\nBad:\n")
        bad, good_mark, good = rest.partition("\nGood:\n")
        if not bad_mark or not good_mark:
            raise ValueError(f"the text of {self.id} has no Bad: or no Good: example")
        summary, _, why = head.partition("\n\n")
        return Documentation(
            " ".join(summary.split()),
            why.strip(),
            _example(bad),
            _example(good),
        )


def rule(
    identifier: str, name: str, severity: Severity = "error"
) -> Callable[[Check], Rule]:
    """Make a rule of the function that checks it; its docstring is the text."""
    return partial(_make, identifier, name, severity)


def documented(
    identifier: str, name: str, text: str, severity: Severity = "error"
) -> Rule:
    """Make a rule whose findings are made elsewhere, by the parser or the schema."""
    return Rule(identifier, name, severity, text)


def _make(identifier: str, name: str, severity: Severity, check: Check) -> Rule:
    # Empty under -OO, which strips docstrings: then only --explain has nothing to say.
    return Rule(identifier, name, severity, check.__doc__ or "", check)


def _example(text: str) -> str:
    return cleandoc("\n" + text).strip("\n") + "\n"
