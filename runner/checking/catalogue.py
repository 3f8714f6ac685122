"""All rules, whatever kind of file they are about.

Those for scenario files are loaded when they are asked for: a check of agent files, or
a report about them, has no use for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.lint.rules import RULES

if TYPE_CHECKING:
    from runner.config.rules.rule import Rule


def find_rule(identifier: str) -> Rule:
    """Return the rule of a finding."""
    return RULES[identifier] if identifier in RULES else all_rules()[identifier]


def all_rules() -> dict[str, Rule]:
    """Return every rule by its id, those for agent files first."""
    from runner.testing.scenarios.rules import RULES as SCENARIO_RULES

    return {**RULES, **SCENARIO_RULES}
