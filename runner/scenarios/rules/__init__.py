"""The rules for scenario files: every finding that there can be, by its id."""

from __future__ import annotations

from runner.config.rules import modeline, reading, schema
from runner.config.rules.rule import Rule
from runner.scenarios.rules import (
    agents,
    matrix,
    mocks,
    patterns,
    services,
    tools,
    turns,
    variables,
)

_GROUPS = (agents, matrix, patterns, variables, tools, mocks, turns, services)

RULES: dict[str, Rule] = {
    each.id: each
    for group in _GROUPS
    for each in vars(group).values()
    if isinstance(each, Rule)
}
# With those that hold for any file.
KNOWN: dict[str, Rule] = {
    each.id: each
    for group in (reading, schema, modeline)
    for each in vars(group).values()
    if isinstance(each, Rule)
} | RULES
