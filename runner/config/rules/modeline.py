"""Rules VA115 and VA117: the line that tells editors what a file is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.diagnostics import Edit, Finding, Fix, Place, replacement
from runner.config.modeline import (
    find_modeline,
    find_schema,
    is_missing,
    modeline_for,
)
from runner.config.rules.rule import rule
from runner.config.source import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext


@rule("VA115", "modeline-missing", "warning")
def modeline_missing(inspection: RuleContext) -> Iterator[Finding]:
    """The schema of such files lies nearby, and the file does not refer to it.

    With a first line that names the schema, editors complete and check a file while it
    is written: agent.schema.json for an agent, scenario.schema.json for scenarios.
    `vagent schema --write` has put the schema into this folder or into one above it, in
    the same repository.

    Bad:
        # schemas/agent.yaml, beside schemas/agent.schema.json
        version: 1
        name: shop
        prompt: You are the phone agent of a shop. Be brief.
        session: {max_duration: 30m}

    Good:
        # yaml-language-server: $schema=./agent.schema.json
        version: 1
        name: shop
        prompt: You are the phone agent of a shop. Be brief.
        session: {max_duration: 30m}
    """
    source = inspection.document.source
    if find_modeline(source.text) is not None:
        return
    reference = find_schema(inspection.folder, inspection.schema)
    if reference is None:
        return
    at, line = modeline_for(source.text, reference)
    shown = line.rstrip()
    fix = Fix(f"insert `{shown}`", (Edit(at, at, line),))
    message = "no line tells editors which schema this file follows"
    place = Place(source, Span(at, at))
    yield Finding(place, message, f"begin the file with {shown}", fix)


@rule("VA117", "modeline-broken", "warning")
def modeline_broken(inspection: RuleContext) -> Iterator[Finding]:
    """The line for editors refers to a schema that is not there.

    Editors then neither complete nor check the file, mostly without a word.

    Bad:
        # yaml-language-server: $schema=./schemas/agent.schema.json
        version: 1
        name: shop
        prompt: You are the phone agent of a shop. Be brief.
        session: {max_duration: 30m}

    Good:
        # yaml-language-server: $schema=./agent.schema.json
        version: 1
        name: shop
        prompt: You are the phone agent of a shop. Be brief.
        session: {max_duration: 30m}
    """
    source = inspection.document.source
    span = find_modeline(source.text)
    if span is None:
        return
    written = source.text[span.start : span.end]
    if not is_missing(written, inspection.folder):
        return
    place = Place(source, span)
    reference = find_schema(inspection.folder, inspection.schema)
    fix = replacement(place, written, reference) if reference else None
    help_ = (
        f"it is {reference}" if reference else "`vagent schema --write` puts it there"
    )
    message = f"the schema `{written}` does not exist"
    yield Finding(place, message, help_, fix)
