"""Agent files checked and loaded: text, document, schema, rules, `AgentConfig`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.config.examination import describe_bare, run_rules
from runner.config.reading import ParsedFile, read_agent_file
from runner.config.yaml.parser import AGENT_BEGINNING
from runner.errors import ConfigError, UsageError, counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runner.config.diagnostics import Diagnostic
    from runner.config.lint.context import RuleContext
    from runner.config.model import AgentConfig, Kinds


def check_file(
    path: Path,
    *,
    environment: Mapping[str, str],
    variables: Mapping[str, str] | None = None,
    kinds: Kinds | None = None,
    must_run: bool = False,
) -> list[Diagnostic]:
    """Return all findings about an agent file, sorted.

    Of `environment` only the names matter. An environment variable that is not set,
    and a variable without a value, are warnings here, and errors with `must_run`.
    `kinds` are the schemas of tool kinds that plugins add. Raises `FileUnreadable` when
    there is nothing to check and `UsageError` when `variables` has a name that the file
    does not declare.
    """
    return check_reading(
        read_agent_file(path),
        environment=environment,
        variables=variables,
        kinds=kinds,
        must_run=must_run,
    )


def check_reading(
    reading: ParsedFile,
    *,
    environment: Mapping[str, str],
    variables: Mapping[str, str] | None = None,
    kinds: Kinds | None = None,
    must_run: bool = False,
) -> list[Diagnostic]:
    """Return all findings about what was read, as `check_file` does."""
    found, _ = examine_agent(
        reading,
        environment=environment,
        variables=variables,
        kinds=kinds,
        must_run=must_run,
    )
    return found


def load_agent(
    path: Path,
    *,
    environment: Mapping[str, str],
    variables: Mapping[str, str] | None = None,
    kinds: Kinds | None = None,
) -> AgentConfig:
    """Load an agent file that is about to be run.

    Raises `ConfigError` with all findings when one of them is an error; here that
    includes what is not set in `environment` and variables without a value. Raises
    `FileUnreadable` and `UsageError` as `check_file` does.
    """
    inspection = _inspect(path, environment, variables, kinds, must_run=True)
    # Cheap to import once here, but not needed to check a file.
    from runner.config.builder import build_agent, resolve_variables
    from runner.config.lint.references import read_prompt

    prompt = inspection.fact(read_prompt).source
    value = inspection.document.value
    return build_agent(
        path,
        value,
        prompt.text if prompt else None,
        resolve_variables(value, variables or {}),
        environment,
    )


def inspect_agent(
    path: Path,
    *,
    environment: Mapping[str, str],
    variables: Mapping[str, str] | None = None,
    kinds: Kinds | None = None,
) -> RuleContext:
    """Return what there is to know of an agent file that is to be looked at only.

    What is not set, and variables without a value, are let pass. Raises as
    `load_agent` does.
    """
    return _inspect(path, environment, variables, kinds, must_run=False)


def _inspect(
    path: Path,
    environment: Mapping[str, str],
    variables: Mapping[str, str] | None,
    kinds: Kinds | None,
    *,
    must_run: bool,
) -> RuleContext:
    found, inspection = examine_agent(
        read_agent_file(path),
        environment=environment,
        variables=variables,
        kinds=kinds,
        must_run=must_run,
    )
    errors = sum(each.is_error for each in found)
    if errors or inspection is None:
        count = counted(errors, "error")
        raise ConfigError(f"{path} has {count}", found)
    return inspection


def examine_agent(
    reading: ParsedFile,
    *,
    environment: Mapping[str, str],
    variables: Mapping[str, str] | None = None,
    kinds: Kinds | None = None,
    must_run: bool = False,
) -> tuple[list[Diagnostic], RuleContext | None]:
    """Return all findings, and what was looked at if the text is a mapping.

    Raises `UsageError` as `check_file` does.
    """
    document = reading.document
    if document is None or not isinstance(document.value, dict):
        return describe_bare(reading, "an agent file", AGENT_BEGINNING), None
    _refuse_unknown(document.value, variables, reading.path)
    # The rules take most of the time; a file that is no YAML does not need them.
    from runner.config.lint.context import RuleContext
    from runner.config.lint.rules import RULES
    from runner.config.references import find_references
    from runner.config.schema import find_agent_violations
    from runner.config.schema_errors import to_findings

    faults = to_findings(document, find_agent_violations(document.value, kinds))
    inspection = RuleContext(
        document,
        reading.path.parent,
        environment,
        variables,
        frozenset(path for _, each in faults for path in each.unsound),
        must_run=must_run,
    )
    references = inspection.fact(find_references)
    found = run_rules(reading, inspection, faults, RULES, references)
    return found, inspection


def _refuse_unknown(
    value: Mapping[str, Any], variables: Mapping[str, str] | None, path: Path
) -> None:
    declared = value.get("variables")
    known = declared if isinstance(declared, dict) else {}
    for name in variables or ():
        if name not in known:
            names = ", ".join(known) or "none"
            raise UsageError(
                f"{path} declares no variable {name!r}", hint=f"it declares: {names}"
            )
