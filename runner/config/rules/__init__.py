"""The table of rules: every finding that there can be, by its id."""

from __future__ import annotations

from runner.config.rules import (
    arguments,
    constraints,
    http,
    keywords,
    naming,
    parameters,
    python,
    reading,
    schema,
    security,
    session,
    variables,
)
from runner.config.rules.rule import Rule

# In the order in which they are checked: later ones leave alone what earlier ones
# found unsound.
_GROUPS = (
    reading,
    schema,
    session,
    variables,
    naming,
    python,
    parameters,
    arguments,
    constraints,
    keywords,
    http,
    security,
)

RULES: dict[str, Rule] = {
    each.id: each
    for group in _GROUPS
    for each in vars(group).values()
    if isinstance(each, Rule)
}
