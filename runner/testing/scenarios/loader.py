"""Scenario files checked and loaded: text, document, schema, rules, `Suite`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.examination import describe_bare, run_rules
from runner.config.lint.context import RuleContext
from runner.config.modeline import SUITE_SCHEMA
from runner.config.reading import SUITE_BEGINNING, ParsedFile, read_agent_file
from runner.errors import ConfigError, counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runner.config.diagnostics import Diagnostic
    from runner.testing.scenarios.model import Suite


def load_suite(path: Path, *, variables: Mapping[str, str] | None = None) -> Suite:
    """Load a scenario file that is about to be run.

    `variables` are given for this run: they go before what the scenarios set. What a
    scenario lacks may yet be given to it alone, so that is no error here. Raises
    `ConfigError` with all findings when one of them is an error, and `FileUnreadable`
    when there is nothing to read.
    """
    reading = read_agent_file(path)
    found, inspection = _examine(reading, variables or {}, must_run=False)
    errors = sum(each.is_error for each in found)
    if errors or inspection is None:
        count = counted(errors, "error")
        raise ConfigError(f"{path} has {count}", found)
    from runner.testing.scenarios.builder import (
        build_suite,  # not needed to check a file
    )
    from runner.testing.scenarios.drafts import find_drafts

    drafts = inspection.fact(find_drafts)
    return build_suite(path, inspection.document, drafts, variables or {})


def check_suite(
    reading: ParsedFile,
    *,
    variables: Mapping[str, str] | None = None,
    must_run: bool = False,
) -> list[Diagnostic]:
    """Return all findings about a scenario file that was read, sorted.

    The agents that it names are read and checked, too; nothing of theirs is imported.
    A variable without a value is a warning, and an error with `must_run`.
    """
    found, _ = _examine(reading, variables or {}, must_run=must_run)
    return found


def _examine(
    reading: ParsedFile, variables: Mapping[str, str], *, must_run: bool
) -> tuple[list[Diagnostic], RuleContext | None]:
    document = reading.document
    if document is None or not isinstance(document.value, dict):
        return describe_bare(reading, "a scenario file", SUITE_BEGINNING), None
    from runner.scenarios.schema import find_faults
    from runner.testing.scenarios.rules import KNOWN

    faults = find_faults(document)
    inspection = RuleContext(
        document,
        reading.path.parent,
        {},
        variables,
        faults.unsound,
        must_run=must_run,
        schema=SUITE_SCHEMA,
    )
    return run_rules(reading, inspection, faults.findings, KNOWN, {}), inspection
