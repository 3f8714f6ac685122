"""`vagent schema`: the JSON Schema of agent files, for editors and other checkers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from runner.config.model import Kinds


def schema() -> None:
    """Print the JSON Schema of agent files, with the tool kinds that plugins add."""
    from runner.config.schema import agent_schema

    composed = agent_schema(_installed_schemas())
    typer.echo(json.dumps(composed, indent=2, ensure_ascii=False))


def _installed_schemas() -> Kinds:
    from runner.tools.plugin import installed_kinds

    return {key: kind.schema for key, kind in installed_kinds().items()}
