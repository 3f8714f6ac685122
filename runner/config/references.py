"""Rules VA301 to VA309: variables, the environment, and the prompt file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.interpolation import (
    Placeholder,
    Policy,
    find_placeholders,
    find_texts,
    policy,
)
from runner.config.names import nearest
from runner.config.source import Source, SourceFault, Span, read_source
from runner.errors import FileUnreadable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from runner.config.diagnostics import Severity
    from runner.config.document import Document
    from runner.config.inspection import Inspection
    from runner.config.nodes import Pointer

_WHERE_ENV = "${env:…} may stand in http tools, service.url and local.brain"

# In one text. A file made to have a million would only make the checker slow.
_MAX_FINDINGS = 200


def resolve_inside(folder: Path, reference: str) -> Path | None:
    """Return the real path of a file named in an agent file.

    None when it lies outside the agent's folder, be it through `..`, an absolute path
    or a symbolic link.
    """
    try:
        path = (folder / reference).resolve()
        return path if path.is_relative_to(folder.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # a name no file can have; a link loop
        return None


def check_prompt_file(inspection: Inspection) -> None:
    """The prompt file is there, inside the folder, and text."""
    path = ("prompt_file",)
    reference = inspection.get(path, str)
    if reference is None:
        return
    real = resolve_inside(inspection.folder, reference)
    if real is None:
        message = f"`{reference}` is outside the agent's folder"
        help_ = "a prompt lies beside the agent file or in a folder below it"
        inspection.report(path, "VA307", message, help_)
        return
    shown = str(Path(inspection.document.source.path).parent / reference)
    # Unlike pathlib's, it answers for names that no file can have, too.
    if not os.path.exists(real):
        help_ = "paths begin at the agent file's folder"
        inspection.report(path, "VA306", f"`{reference}` does not exist", help_)
        return
    try:
        source = read_source(real, shown)
    except FileUnreadable as error:
        inspection.report(path, "VA306", error.message)
        return
    except SourceFault as fault:
        inspection.report_at(
            fault.source, fault.span, "VA308", fault.message, fault.help
        )
        return
    if not source.text.strip():
        inspection.report(path, "VA308", f"`{reference}` is empty")
        return
    inspection.prompt = source


def check_placeholders(inspection: Inspection) -> None:
    """Every placeholder stands where it may and has something to stand for."""
    document = inspection.document
    for path, text in find_texts(document.value):
        if "${" not in text or not inspection.is_sound(path):
            continue
        placeholders = list(find_placeholders(text))
        spans = _places(document, path, text, placeholders)
        _check_text(inspection, document.source, placeholders, spans, policy(path))
    prompt = inspection.prompt
    if prompt is not None:
        placeholders = list(find_placeholders(prompt.text))
        spans = [Span(each.start, each.end) for each in placeholders]
        _check_text(inspection, prompt, placeholders, spans, "text")


def check_variables(inspection: Inspection) -> None:
    """Every declared variable has a value, and its default is plain text."""
    declared = inspection.get(("variables",), dict)
    given = inspection.variables or {}
    for name in declared or ():
        path = ("variables", name)
        variable = inspection.get(path, dict)
        if variable is None:
            continue
        default = inspection.get((*path, "default"), str)
        if default is not None:
            if any(each.kind != "escape" for each in find_placeholders(default)):
                message = f"the default of `{name}` holds `${{`, which stays as it is"
                help_ = "a default is plain text; it cannot use other variables"
                inspection.report((*path, "default"), "VA304", message, help_)
        elif "default" not in variable and name not in given:
            severity: Severity = "error" if inspection.must_run else "warning"
            message = f"the variable `{name}` has no value"
            help_ = f"give it a default, or run with --var {name}=…"
            inspection.report(
                path, "VA305", message, help_, at="key", severity=severity
            )


def _check_text(
    inspection: Inspection,
    source: Source,
    placeholders: list[Placeholder],
    spans: list[Span],
    allowed: Policy,
) -> None:
    enough = len(inspection.found) + _MAX_FINDINGS
    for each, span in zip(placeholders, spans, strict=True):
        _check_one(inspection, source, span, each, allowed)
        if len(inspection.found) >= enough:
            return


def _check_one(
    inspection: Inspection,
    source: Source,
    span: Span,
    found: Placeholder,
    allowed: Policy,
) -> None:
    match found.kind:
        case "variable":
            _check_variable(inspection, source, span, found.name)
        case "environment" if allowed != "secret":
            message = f"`${{env:{found.name}}}` would be spoken or shown to the model"
            inspection.report_at(source, span, "VA303", message, _WHERE_ENV)
        case "environment" if found.name not in inspection.environment:
            severity: Severity = "error" if inspection.must_run else "warning"
            message = f"the environment variable `{found.name}` is not set"
            help_ = f"set it, or write {found.name}=… into a .env file"
            inspection.report_at(
                source, span, "VA302", message, help_, severity=severity
            )
        case "malformed":
            text = source.text[span.start : span.end].strip()
            shown = text if len(text) < 40 and "\n" not in text else "${"
            message = f"`{shown}` is neither a variable nor an environment variable"
            help_ = "write ${name} or ${env:NAME}; $${ is a plain ${"
            inspection.report_at(source, span, "VA304", message, help_)


def _check_variable(
    inspection: Inspection, source: Source, span: Span, name: str
) -> None:
    declared: Mapping[str, Any] | None = inspection.document.value.get("variables")
    if declared is not None and not isinstance(declared, dict):
        return  # the schema check has said so
    if name in (declared or {}):
        return
    guess = nearest(name, declared or ())
    help_ = f"did you mean `${{{guess}}}`?" if guess else "declare it under `variables`"
    message = f"the variable `{name}` is not declared"
    inspection.report_at(source, span, "VA301", message, help_)


def _places(
    document: Document, path: Pointer, text: str, placeholders: list[Placeholder]
) -> list[Span]:
    """Where the placeholders of a scalar stand in the file.

    They are found again in the scalar's own text, block or quoted. Where escapes make
    the two differ, the whole scalar is the place.
    """
    node = document.node(path)
    whole = document.value_span(path)
    if node is None or node.is_alias:
        return [whole] * len(placeholders)
    start, end = node.span
    written = document.source.text[start:end]
    if node.style in ("|", ">"):  # the header line may carry a comment
        header = len(written) - len(written.split("\n", 1)[-1])
        start, written = start + header, written[header:]
    again = list(find_placeholders(written))
    if [(a.kind, a.name) for a in again] != [(p.kind, p.name) for p in placeholders]:
        return [whole] * len(placeholders)
    return [Span(start + each.start, start + each.end) for each in again]
