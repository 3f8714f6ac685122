"""The table of rules: every finding that there can be, by its id."""

from __future__ import annotations

from runner.config.rules import (
    http,
    legacy,
    modeline,
    naming,
    parameters,
    python,
    reading,
    schema,
    security,
    session,
    templates,
    variables,
)
from runner.config.rules.rule import Rule

# In the order in which they are checked: later ones leave alone what earlier ones
# found unsound.
_GROUPS = (
    reading,
    schema,
    modeline,
    legacy,
    session,
    variables,
    templates,
    naming,
    python,
    parameters,
    http,
    security,
)

RULES: dict[str, Rule] = {
    each.id: each
    for group in _GROUPS
    for each in vars(group).values()
    if isinstance(each, Rule)
}
