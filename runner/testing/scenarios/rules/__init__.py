"""The rules for scenario files: every finding that there can be, by its id."""

from __future__ import annotations

from runner.config.lint.rules import schema, yaml
from runner.config.rules import modeline
from runner.config.rules.rule import Rule
from runner.scenarios.rules import mocks, patterns, services, turns, variables
from runner.testing.scenarios.rules import references, structure, tools

_GROUPS = (references, structure, patterns, variables, tools, mocks, turns, services)

RULES: dict[str, Rule] = {
    each.id: each
    for group in _GROUPS
    for each in vars(group).values()
    if isinstance(each, Rule)
}
# With those that hold for any file.
KNOWN: dict[str, Rule] = {
    each.id: each
    for group in (yaml, schema, modeline)
    for each in vars(group).values()
    if isinstance(each, Rule)
} | RULES
