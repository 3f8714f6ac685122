"""Agent files checked and loaded: text, document, schema, rules, `AgentConfig`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import Diagnostic, diagnose
from runner.config.document import Document, parse_document
from runner.config.source import Source, SourceFault, read_source
from runner.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.config.inspection import Inspection
    from runner.config.model import AgentConfig, Kinds

# What tells an agent file from any other YAML file in the same folder.
_MARKS = ("prompt", "prompt_file", "tools")


@dataclass(frozen=True, slots=True)
class Examination:
    """All findings about a file, and what was read on the way."""

    diagnostics: list[Diagnostic]
    inspection: Inspection | None = None  # None: no mapping came out of the text


def check_file(
    path: Path,
    *,
    environment: Mapping[str, str],
    variables: Mapping[str, str] | None = None,
    kinds: Kinds | None = None,
) -> list[Diagnostic]:
    """Return all findings about an agent file, sorted.

    Of `environment` only the names matter. An environment variable that is not set,
    and a variable without a value, are warnings here. `kinds` are the schemas of tool
    kinds that plugins add. Raises `FileUnreadable` when there is nothing to check and
    `UsageError` when `variables` has a name that the file does not declare.
    """
    return _examine(path, environment, variables, kinds).diagnostics


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
    examined = _examine(path, environment, variables, kinds, must_run=True)
    errors = [each for each in examined.diagnostics if each.is_error]
    inspection = examined.inspection
    if errors or inspection is None:
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        raise ConfigError(f"{path} has {count}", examined.diagnostics)
    # Cheap to import once here, but not needed to check a file.
    from runner.config.builder import build_agent, resolve_variables

    value = inspection.document.value
    return build_agent(
        path,
        value,
        inspection.prompt.text if inspection.prompt else None,
        resolve_variables(value, variables or {}),
        environment,
    )


def is_agent_file(path: Path) -> bool:
    """Whether a YAML file looks like an agent's, however broken.

    That is a mapping with `version` and one of `prompt`, `prompt_file`, `tools`. A
    file that is no YAML is judged by its lines: a typing error must not hide it.
    Raises `FileUnreadable`.
    """
    try:
        source = read_source(path)
    except SourceFault:
        return False
    document, _ = parse_document(source)
    if document is not None:
        value = document.value
        keys = set(value) if isinstance(value, dict) else set()
    else:
        lines = source.text.splitlines()
        keys = {line.partition(":")[0] for line in lines if ":" in line}
    return "version" in keys and not keys.isdisjoint(_MARKS)


def _examine(
    path: Path,
    environment: Mapping[str, str],
    variables: Mapping[str, str] | None,
    kinds: Kinds | None,
    *,
    must_run: bool = False,
) -> Examination:
    try:
        source = read_source(path)
    except SourceFault as fault:
        found = diagnose(
            fault.source, fault.span, fault.rule, fault.message, fault.help
        )
        return Examination([found])
    document, findings = parse_document(source)
    if document is None:
        return Examination(sorted(findings))
    if not isinstance(document.value, dict):
        return Examination(sorted([*findings, *_no_mapping(source, document)]))
    _refuse_unknown(document.value, variables, path)
    return _inspect(
        document, findings, path, environment, variables, kinds, must_run=must_run
    )


def _inspect(
    document: Document,
    findings: list[Diagnostic],
    path: Path,
    environment: Mapping[str, str],
    variables: Mapping[str, str] | None,
    kinds: Kinds | None,
    *,
    must_run: bool,
) -> Examination:
    # jsonschema takes most of the time; a file that is no YAML does not need it.
    from runner.config.inspection import Inspection
    from runner.config.rules import RULES
    from runner.config.schema import agent_schema, find_violations
    from runner.config.violations import judge

    violations = find_violations(document.value, agent_schema(kinds))
    verdict = judge(document, violations)
    inspection = Inspection(
        document,
        path.parent,
        environment,
        variables,
        verdict.unsound,
        must_run=must_run,
    )
    for rule in RULES:
        rule(inspection)
    found = {*findings, *verdict.diagnostics, *inspection.found}
    return Examination(sorted(found), inspection)


def _no_mapping(source: Source, document: Document) -> list[Diagnostic]:
    if document.root.is_broken:
        return []
    what = "list" if isinstance(document.value, list) else "single value"
    message = f"an agent file is a mapping, this is a {what}"
    help_ = "begin with `version: 1`, a `name` and a `prompt`"
    return [diagnose(source, document.root.head, "VA201", message, help_)]


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
