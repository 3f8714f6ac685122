"""What the findings about a file come to, whatever kind of file it is.

The schema's faults and the rules are given; here they are applied, silenced by comments
and kept from saying anything twice or giving a secret away.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from runner.config.credentials import find_credentials, mask_credentials
from runner.config.diagnostics import Diagnostic, diagnose
from runner.config.lint.suppressions import find_suppressions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from runner.config.diagnostics import Finding
    from runner.config.lint.context import RuleContext
    from runner.config.reading import ParsedFile
    from runner.config.rules.rule import Rule
    from runner.config.yaml.parser import Document

# Of one rule about one file. A file made to have a million findings would only make
# the checker slow.
_MOST = 200
_YAML = "VA1"
_SCHEMA = "VA2"


def run_rules(
    reading: ParsedFile,
    inspection: RuleContext,
    faults: Iterable[tuple[str, Finding]],
    rules: Mapping[str, Rule],
    references: Mapping[str, set[int]],
) -> list[Diagnostic]:
    """Return all findings about a file that is a mapping, sorted.

    `faults` are what the schema finds, with the ids of its rules; the rules are checked
    in their order. `references` are the lines that name another file, by its path.
    """
    from runner.config.lint.secrets import find_leaks  # for files that are YAML only

    document = inspection.document
    found = {*reading.findings}
    found.update(_diagnose(rules[rule], each) for rule, each in faults)
    for rule in rules.values():
        found.update(_apply(rule, inspection))
    ignored = find_suppressions(document, references, rules)
    shown = sorted(ignored.apply(_without_echoes(document, found)))
    for leak in inspection.fact(find_leaks):
        shown = mask_credentials(shown, leak.place.source, [leak.place.span])
    return shown


def describe_bare(reading: ParsedFile, what: str, beginning: str) -> list[Diagnostic]:
    """Return the findings about a file that is no mapping; `what` it should be."""
    bare = sorted({*reading.findings, *_no_mapping(reading, what, beginning)})
    spans = [each.span for each in find_credentials(reading.source.text)]
    return mask_credentials(bare, reading.source, spans)


def _apply(rule: Rule, inspection: RuleContext) -> Iterator[Diagnostic]:
    if rule.check is None:
        return
    for each in islice(rule.check(inspection), _MOST):
        inspection.spoil(each.unsound)
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


def _without_echoes(document: Document, found: set[Diagnostic]) -> Iterator[Diagnostic]:
    """Leave out what is said twice.

    That is what an alias repeats of a place that has the same finding, what the schema
    says about characters that a rule has a better word for, and what would be said
    about lines that are no YAML and were only read as such.
    """
    places: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for each in found:
        places.setdefault(_gist(each), []).append((each.line, each.column))
    has_aliases = any(each.related for each in found)
    ends = document.scalar_ends() if has_aliases else {}
    ruled = {
        _extent(each)
        for each in found
        if each.is_error and not each.rule.startswith(_SCHEMA)
    }
    for each in found:
        here = each.path == document.source.path and each.line in document.mended
        if here and not each.rule.startswith(_YAML):
            continue
        if each.related and _repeats(each, places[_gist(each)], ends):
            continue
        if not (each.rule.startswith(_SCHEMA) and _extent(each) in ruled):
            yield each


def _gist(found: Diagnostic) -> tuple[str, str]:
    """What is wrong, without the name of what it is wrong with."""
    return found.rule, found.message.partition(" is ")[2] or found.message


def _repeats(
    found: Diagnostic,
    places: list[tuple[int, int]],
    ends: Mapping[tuple[int, int], tuple[int, int]],
) -> bool:
    """Whether one of the places is where a finding comes from, or in its text."""
    for each in found.related:
        start = (each.line, each.column)
        end = ends.get(start, (each.line, each.column + 1))
        if any(start <= place < end for place in places):
            return True
    return False


def _extent(found: Diagnostic) -> tuple[int, int, int, int]:
    return found.line, found.column, found.end_line, found.end_column


def _no_mapping(reading: ParsedFile, what: str, beginning: str) -> list[Diagnostic]:
    document = reading.document
    if document is None or document.root.is_broken:
        return []
    kind = "list" if isinstance(document.value, list) else "single value"
    message = f"{what} is a mapping, this is a {kind}"
    span = document.root.head
    return [diagnose(reading.source, span, "VA201", message, beginning)]
