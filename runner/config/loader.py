"""Checks and loads agent files: parsing, schema, lint rules, `AgentConfig`."""

from __future__ import annotations

import shlex
from itertools import islice
from typing import TYPE_CHECKING, Any

from runner.config.credentials import find_credentials, mask_credentials
from runner.config.diagnostics import diagnose
from runner.config.files import read_agent_file
from runner.config.lint.python_files import find_python_tools
from runner.config.lint.references import read_prompt
from runner.config.lint.suppressions import find_suppressions
from runner.config.yaml.parser import AGENT_BEGINNING
from runner.errors import ConfigError, UsageError, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from runner.config.diagnostics import Diagnostic, Finding
    from runner.config.files import ParsedFile
    from runner.config.lint.context import Rule, RuleContext
    from runner.config.model import AgentConfig, Kinds
    from runner.config.yaml.nodes import Pointer
    from runner.config.yaml.parser import Document


def check_file(
    path: Path,
    *,
    environment: Mapping[str, str],
    variables: Mapping[str, str] | None = None,
    kinds: Kinds | None = None,
    must_run: bool = False,
) -> list[Diagnostic]:
    """Returns all findings about an agent file, sorted.

    Only the names in `environment` are used. Unset environment variables and variables
    without a value are warnings, with `must_run` errors. `kinds` are the schemas of
    tool kinds that plugins add. Raises `FileUnreadable` if the file cannot be read and
    `UsageError` if `variables` has a name that the file does not declare.
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
    """Returns all findings about a parsed file, like `check_file`."""
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
    """Loads an agent file to run it.

    Raises `ConfigError` with all findings if one is an error, such as an unset
    environment variable or a variable without a value. Raises `FileUnreadable` and
    `UsageError` like `check_file`.
    """
    inspection = _inspect(path, environment, variables, kinds, must_run=True)
    # Not needed to check a file.
    from runner.config.model import build_agent, resolve_variables

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
    """Returns the facts about an agent file that is shown but not run.

    Unset environment variables and variables without a value are not errors. Raises
    like `load_agent`.
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
    """Returns all findings, and the rule context if the file is a mapping.

    Raises `UsageError` like `check_file`.
    """
    document = reading.document
    if foreign := _find_foreign(reading):
        return [foreign], None
    if document is None or not isinstance(document.value, dict):
        return describe_bare(reading, "an agent file", AGENT_BEGINNING), None
    _check_variables(document.value, variables, reading.path)
    # Slow to import, and not needed for invalid YAML.
    from runner.config.lint.context import RuleContext
    from runner.config.lint.rules import RULES
    from runner.config.schema import find_agent_violations
    from runner.config.schema_errors import to_findings

    faults = to_findings(document, find_agent_violations(document.value, kinds))
    inspection = RuleContext(
        document,
        reading.path.parent,
        environment,
        variables,
        frozenset(path for _, each in faults for path in each.invalid_paths),
        must_run=must_run,
    )
    references = inspection.fact(find_references)
    found = run_rules(reading, inspection, faults, RULES, references)
    return found, inspection


def _check_variables(
    value: Mapping[str, Any], variables: Mapping[str, str] | None, path: Path
) -> None:
    declared = value.get("variables")
    known = declared if isinstance(declared, dict) else {}
    for name in variables or ():
        if name not in known:
            names = ", ".join(known) or "none"
            raise UsageError(
                f"{path} does not declare the variable {name!r}",
                hint=f"declared: {names}",
            )


# Findings of agent and scenario files: rules are applied, suppressed by comments, and
# duplicates and secrets removed.

# Of one rule in one file, so that no file makes the checker slow.
_MAX_FINDINGS_PER_RULE = 200
_YAML = "VA1"
_SCHEMA = "VA2"


def run_rules(
    reading: ParsedFile,
    inspection: RuleContext,
    faults: Iterable[tuple[str, Finding]],
    rules: Mapping[str, Rule],
    references: Mapping[str, set[int]],
) -> list[Diagnostic]:
    """Returns all findings about a file that is a mapping, sorted.

    `faults` are the findings of the schema with the ids of their rules. `rules` are
    checked in order. `references` are the lines that name another file, by its path.
    """
    from runner.config.lint.secrets import find_leaks  # for files that are YAML only

    document = inspection.document
    found = {*reading.findings}
    found.update(_diagnose(rules[rule], each) for rule, each in faults)
    for rule in rules.values():
        found.update(_apply(rule, inspection))
    ignored = find_suppressions(document, references, rules)
    shown = sorted(ignored.apply(_without_duplicates(document, found)))
    for leak in inspection.fact(find_leaks):
        shown = mask_credentials(shown, leak.place.source, [leak.place.span])
    return shown


def describe_bare(reading: ParsedFile, what: str, beginning: str) -> list[Diagnostic]:
    """Returns the findings of a file that is not a mapping; `what` is its kind."""
    bare = sorted({*reading.findings, *_mapping_expected(reading, what, beginning)})
    spans = [each.span for each in find_credentials(reading.source.text)]
    return mask_credentials(bare, reading.source, spans)


def _apply(rule: Rule, inspection: RuleContext) -> Iterator[Diagnostic]:
    if rule.check is None:
        return
    for each in islice(rule.check(inspection), _MAX_FINDINGS_PER_RULE):
        inspection.mark_invalid(each.invalid_paths)
        yield _diagnose(rule, each)


def _diagnose(rule: Rule, found: Finding) -> Diagnostic:
    return diagnose(
        found.place.source,
        found.place.span,
        rule.id,
        found.message,
        found.help,
        severity=found.severity or rule.severity,
        related=found.place.related,
        fix=found.fix,
    )


def _without_duplicates(
    document: Document, found: set[Diagnostic]
) -> Iterator[Diagnostic]:
    """Yields the findings without duplicates.

    Left out are findings that an alias repeats, findings of the schema at a place where
    a rule has a more specific one, and findings about lines with recovered syntax.
    """
    places: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for each in found:
        places.setdefault(_essence(each), []).append((each.line, each.column))
    has_aliases = any(each.related for each in found)
    ends = document.scalar_ends() if has_aliases else {}
    ruled_extents = {
        _extent(each)
        for each in found
        if each.is_error and not each.rule.startswith(_SCHEMA)
    }
    for each in found:
        here = (
            each.path == document.source.path and each.line in document.recovered_lines
        )
        if here and not each.rule.startswith(_YAML):
            continue
        if each.related and _repeats(each, places[_essence(each)], ends):
            continue
        if not (each.rule.startswith(_SCHEMA) and _extent(each) in ruled_extents):
            yield each


def _essence(found: Diagnostic) -> tuple[str, str]:
    """Returns rule and message without the name of the value."""
    return found.rule, found.message.partition(" is ")[2] or found.message


def _repeats(
    found: Diagnostic,
    places: list[tuple[int, int]],
    ends: Mapping[tuple[int, int], tuple[int, int]],
) -> bool:
    """True if one of the places is the origin of a finding, or inside of it."""
    for each in found.related:
        start = (each.line, each.column)
        end = ends.get(start, (each.line, each.column + 1))
        if any(start <= place < end for place in places):
            return True
    return False


def _extent(found: Diagnostic) -> tuple[int, int, int, int]:
    return found.line, found.column, found.end_line, found.end_column


def _find_foreign(reading: ParsedFile) -> Diagnostic | None:
    """Returns the finding of an agent file of another tool, None for any other file."""
    document = reading.document
    if document is None:
        return None
    value = document.value
    if isinstance(value, dict) and (
        value.get("version") in (1, "1") or value.keys() & {"prompt", "prompt_file"}
    ):
        return None
    from runner.config.conversion import recognize

    name = recognize(value)
    if name is None:
        return None
    message = f"this is an agent of another tool ({name})"
    help_ = f"convert it with `vagent new --from {shlex.quote(reading.source.path)}`"
    return diagnose(reading.source, document.root.head, "VA201", message, help_)


def _mapping_expected(
    reading: ParsedFile, what: str, beginning: str
) -> list[Diagnostic]:
    document = reading.document
    if document is None or document.root.is_broken:
        return []
    kind = "list" if isinstance(document.value, list) else "single value"
    message = f"{what} must be a mapping, not a {kind}"
    span = document.root.head
    return [diagnose(reading.source, span, "VA201", message, beginning)]


def find_references(inspection: RuleContext) -> dict[str, set[int]]:
    """Returns the lines that name another file, by its path as in findings."""
    found: dict[str, set[int]] = {}
    prompt = inspection.fact(read_prompt).source
    named: list[tuple[str, Pointer]] = []
    if prompt is not None:
        named.append((prompt.path, ("prompt_file",)))
    for tool in inspection.fact(find_python_tools):
        if tool.content is not None and tool.content.problem is None:
            named.append((tool.content.source.path, tool.path))
    for path, pointer in named:
        place = inspection.value(pointer)
        line, _ = place.source.point(place.span.start)
        found.setdefault(path, set()).add(line)
    return found
