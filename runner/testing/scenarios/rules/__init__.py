"""The rules for scenario files, by id."""

from __future__ import annotations

from runner.config.lint.context import Rule
from runner.config.lint.rules import schema, yaml
from runner.testing.scenarios.rules import references, structure, tools

_GROUPS = (references, structure, tools)

RULES: dict[str, Rule] = {
    each.id: each
    for group in _GROUPS
    for each in vars(group).values()
    if isinstance(each, Rule)
}
# With the rules for all files.
KNOWN: dict[str, Rule] = {
    each.id: each
    for group in (yaml, schema)
    for each in vars(group).values()
    if isinstance(each, Rule)
} | RULES
