"""Texts of `--explain` and `--rules`: the documentation of the rules."""

from __future__ import annotations

import json
from textwrap import fill, indent
from typing import TYPE_CHECKING

from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.config.lint.context import Documentation, Rule

_WIDTH = 88


def explain(rule: Rule) -> str:
    """Writes the documentation of a rule for a terminal."""
    about = _documentation(rule)
    blocks = [f"{rule.id} {rule.name} ({rule.severity})", fill(about.summary, _WIDTH)]
    blocks += [wrapped(each) for each in about.why.split("\n\n") if each]
    blocks.append("Bad:\n\n" + indent(about.bad.rstrip(), "    "))
    blocks.append("Good:\n\n" + indent(about.good.rstrip(), "    "))
    return "\n\n".join(blocks) + "\n"


def list_rules(rules: Iterable[Rule]) -> str:
    """Writes a line for every rule, in the order of the ids."""
    rules = sorted(rules, key=lambda each: each.id)
    width = max(len(each.name) for each in rules)
    return "".join(
        f"{each.id}  {each.name:{width}}  {each.severity:7}  "
        f"{_documentation(each).summary}\n"
        for each in rules
    )


def rules_as_json(rules: Iterable[Rule]) -> str:
    """Writes every rule with its documentation, as one JSON list."""
    rules = sorted(rules, key=lambda each: each.id)
    listed = []
    for each in rules:
        about = _documentation(each)
        listed.append(
            {
                "id": each.id,
                "name": each.name,
                "severity": each.severity,
                "summary": about.summary,
                "why": about.why,
                "bad": about.bad,
                "good": about.good,
            }
        )
    return json.dumps(listed, indent=2) + "\n"


def _documentation(rule: Rule) -> Documentation:
    if not rule.text:
        raise UsageError(
            "the texts of the rules are not loaded", hint="run Python without -OO"
        )
    return rule.documentation


def wrapped(paragraph: str) -> str:
    """Fills a paragraph; what is indented or a list stays as it is written."""
    if any(line.startswith((" ", "*", "-")) for line in paragraph.splitlines()):
        return paragraph
    return fill(" ".join(paragraph.split()), _WIDTH, break_on_hyphens=False)
