"""The table of rules: every rule, by id."""

from __future__ import annotations

from runner.config.lint.context import Rule
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

# In the order in which they run: later rules skip values that earlier rules
# found invalid.
_GROUPS = (
    yaml,
    schema,
    variables,
    python_tools,
    python_behavior,
    tool_schemas,
    tool_schema_quality,
    http_tools,
    http_addresses,
    security,
    conversation,
    tool_design,
    speech,
)

RULES: dict[str, Rule] = {
    each.id: each
    for group in _GROUPS
    for each in vars(group).values()
    if isinstance(each, Rule)
}
