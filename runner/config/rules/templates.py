"""Rule VA309: placeholders as other tools write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding, replacement
from runner.config.rules.rule import rule
from runner.config.templates import find_templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext

_LONGEST = 40  # of a template that is quoted in a message


@rule("VA309", "foreign-placeholder", "warning")
def foreign_placeholder(inspection: RuleContext) -> Iterator[Finding]:
    """A text holds a placeholder as another tool writes it.

    Here a variable is written `${name}`. Anything else stays as it is: the agent reads
    it out, braces and all. `{name}` and `$name` count only where a variable has that
    name.

    Bad:
        greeting: Welcome to {{company}}.
        variables:
          company: {default: Acme}

    Good:
        greeting: Welcome to ${company}.
        variables:
          company: {default: Acme}
    """
    for each in inspection.fact(find_templates):
        shown = each.written if len(each.written) < _LONGEST else each.written[:2] + "…"
        message = f"`{shown}` is not replaced: it would be said as it stands"
        help_, fix = (
            "a variable is declared under `variables`, and written ${name}",
            None,
        )
        if each.variable is not None:
            new = f"${{{each.variable}}}"
            help_ = f"write {new}"
            fix = replacement(each.place, each.written, new)
        yield Finding(each.place, message, help_, fix)
