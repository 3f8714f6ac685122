"""The page of the agent file, from its JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path

from docs.generate.markdown import page
from docs.generate.schema_tables import field_sections

ROOT = Path(__file__).resolve().parents[2]

_INTRODUCTION = """An agent is one YAML file. Only `version`, `name` and a prompt
(`prompt` or `prompt_file`) are required. Unknown fields are errors, with a suggestion
if the name is close to a known one.

Durations are written as `500ms`, `1.5s` or `30m`.

`${name}` inserts a variable of the file, `${env:NAME}` an environment variable, and
`$${` writes a literal `${`. Environment variables are allowed in HTTP tools, in
`service.url` and in the settings of the local language model. They are never printed,
recorded or logged.

In a tool, the key `python`, `http` or `plugin` selects its kind. Installed packages can
add other kinds. [Write tools](../how-to/write-tools.md) shows each kind in use.

The first line connects the file to its schema. Editors with the YAML language server
then complete, explain and check the file as you type:

```yaml
# yaml-language-server: $schema=./agent.schema.json
```

`vagent schema --write agents` writes the schema next to your agents. `vagent validate`
checks much more than the schema: see [the rules](rules/README.md)."""


def make_page() -> str:
    """Returns the page."""
    schema = json.loads((ROOT / "agents" / "agent.schema.json").read_text("utf-8"))
    sections = field_sections(schema)
    return page("# Agent file", _INTRODUCTION, "## Fields", *sections)
