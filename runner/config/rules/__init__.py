"""The table of rules: every finding that there can be, by its id."""

from __future__ import annotations

from runner.config.rules import (
    addresses,
    arguments,
    behaviour,
    callables,
    conduct,
    constraints,
    describing,
    headers,
    hearing,
    http,
    keywords,
    legacy,
    modeline,
    naming,
    parameters,
    python,
    reading,
    requests,
    samples,
    schema,
    security,
    session,
    signatures,
    speaking,
    templates,
    variables,
    voicing,
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
    signatures,
    callables,
    behaviour,
    parameters,
    arguments,
    constraints,
    keywords,
    samples,
    http,
    addresses,
    requests,
    headers,
    security,
    speaking,
    conduct,
    describing,
    hearing,
    voicing,
)

RULES: dict[str, Rule] = {
    each.id: each
    for group in _GROUPS
    for each in vars(group).values()
    if isinstance(each, Rule)
}
