"""The table of rules: every finding that there can be, by its id."""

from __future__ import annotations

from runner.config.lint.rules import (
    conversation,
    http_addresses,
    http_tools,
    python_behavior,
    python_tools,
    schema,
    security,
    speech,
    tool_design,
    tool_schema_quality,
    tool_schemas,
    variables,
    yaml,
)
from runner.config.rules import (
    arguments,
    callables,
    conduct,
    constraints,
    headers,
    keywords,
    legacy,
    modeline,
    naming,
    requests,
    session,
    signatures,
    templates,
    voicing,
)
from runner.config.rules.rule import Rule

# In the order in which they are checked: later ones leave alone what earlier ones
# found unsound.
_GROUPS = (
    yaml,
    schema,
    modeline,
    legacy,
    session,
    variables,
    templates,
    naming,
    python_tools,
    signatures,
    callables,
    python_behavior,
    tool_schemas,
    arguments,
    constraints,
    keywords,
    tool_schema_quality,
    http_tools,
    http_addresses,
    requests,
    headers,
    security,
    conversation,
    conduct,
    tool_design,
    speech,
    voicing,
)

RULES: dict[str, Rule] = {
    each.id: each
    for group in _GROUPS
    for each in vars(group).values()
    if isinstance(each, Rule)
}
