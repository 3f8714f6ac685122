"""Rules VA301 to VA309: variables, the environment and the prompt file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.diagnostics import Edit, Finding, Fix, Place, replacement
from runner.config.files import Environment
from runner.config.interpolation import find_placeholders
from runner.config.lint.context import rule
from runner.config.lint.discovery import shown_path
from runner.config.lint.references import find_templates, find_uses, read_prompt
from runner.config.spelling import is_certain_guess, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.config.diagnostics import Severity
    from runner.config.lint.context import RuleContext
    from runner.config.lint.references import PlaceholderUse


_NEARLY = (
    r"\$\{[ \t]*(?:\{[ \t]*)?((?:env|ENV)[ \t]*[:.][ \t]*)?([A-Za-z_][A-Za-z0-9_]*)"
    r"[ \t]*\}\}?"
)
_MAX_QUOTED_CHARS = 40  # of a malformed placeholder that is quoted in a message


_MAX_LISTED = 10  # names in a message


@rule("VA301", "undeclared-variable")
def undeclared_variable(inspection: RuleContext) -> Iterator[Finding]:
    """A text uses a variable that the file does not declare.

    An undeclared variable cannot have a value, and the agent would read its name out to
    the caller.

    Bad:
        greeting: Welcome to ${compnay}.
        variables:
          company: {default: Acme}

    Good:
        greeting: Welcome to ${company}.
        variables:
          company: {default: Acme}
    """
    declared = inspection.document.value.get("variables")
    if not inspection.is_valid(("variables",)):
        return  # the schema rules report why
    for use in inspection.fact(find_uses):
        name = use.placeholder.name
        if use.placeholder.kind != "variable" or name in (declared or {}):
            continue
        guess = nearest(name, declared or ())
        help_, fix = "declare it under `variables`", None
        if declared:
            help_ += f"; declared: {', '.join(list(declared)[:_MAX_LISTED])}"
        if guess:
            help_ = f"did you mean `${{{guess}}}`?"
            is_safe = is_certain_guess(name, guess)
            fix = replacement(
                use.place, f"${{{name}}}", f"${{{guess}}}", is_safe=is_safe
            )
        elif use.allowed == "secret" and name.isupper():
            help_ = f"an environment variable is written ${{env:{name}}}"
            fix = replacement(
                use.place, f"${{{name}}}", f"${{env:{name}}}", is_safe=False
            )
        message = f"the variable `{name}` is not declared"
        yield Finding(use.place, message, help_, fix)


@rule("VA302", "environment-not-set", "warning")
def environment_not_set(inspection: RuleContext) -> Iterator[Finding]:
    """An environment variable that the file uses is not set here.

    This is a warning in `vagent validate`, also with `--strict`, because continuous
    integration has no secrets, and an error in `vagent run` and `vagent validate
    --env`. An empty variable counts as not set.

    Bad:
        service: {url: "${env:VAGENT_EXAMPLE_NOT_SET}"}

    Good:
        service: {url: "wss://agents.assemblyai.com/v1/ws"}
    """
    for use in inspection.fact(find_uses):
        name = use.placeholder.name
        if use.placeholder.kind != "environment" or use.allowed != "secret":
            continue
        known = inspection.environment
        if not known.get(name, "").strip():
            empty = known.empty if isinstance(known, Environment) else known.keys()
            state = "empty" if name in empty else "not set"
            message = f"the environment variable `{name}` is {state}"
            help_ = f"set it, or write {name}=… into {_dot_env(known)}"
            severity = _severity(inspection)
            yield Finding(use.place, message, help_, severity=severity)


def _dot_env(environment: Mapping[str, str]) -> str:
    """Returns the path of the `.env` file to write to, and those that were tried."""
    if not isinstance(environment, Environment) or not environment.tried:
        return "a .env file"
    current = Path.cwd()
    shown = [shown_path(each, current) for each in environment.tried]
    if environment.in_file or len(shown) == 1:
        return shown[-1]
    return f"{shown[0]} (tried: {', '.join(shown)})"


@rule("VA303", "malformed-placeholder")
def malformed_placeholder(inspection: RuleContext) -> Iterator[Finding]:
    """A `${` does not begin a valid placeholder.

    Bad:
        greeting: Welcome to ${company name}.

    Good:
        greeting: A plain $${ is written with two dollar signs.
    """
    for use in inspection.fact(find_uses):
        if use.placeholder.kind == "malformed":
            text = use.text.strip()
            shown = text if len(text) < _MAX_QUOTED_CHARS and "\n" not in text else "${"
            message = f"`{shown}` is neither a variable nor an environment variable"
            help_ = "write ${name} or ${env:NAME}; $${ is a plain ${"
            fix = _respell(use)
            if fix is not None:
                help_ = f"write {fix.edits[0].text}"
            yield Finding(use.place, message, help_, fix)


@rule("VA304", "placeholder-in-default")
def placeholder_in_default(inspection: RuleContext) -> Iterator[Finding]:
    """The default of a variable contains a placeholder, which is not replaced.

    Values are inserted once and are not searched for placeholders again.

    Bad:
        greeting: ${company} in ${city}, hello.
        variables:
          city: {default: Rome}
          company: {default: "Acme of ${city}"}

    Good:
        greeting: ${company} in ${city}, hello.
        variables:
          city: {default: Rome}
          company: {default: Acme of Rome}
    """
    for name in inspection.get(("variables",), dict) or ():
        path = ("variables", name, "default")
        default = inspection.get(path, str)
        if default is None:
            continue
        for each in find_placeholders(default):
            if each.kind != "escape":
                message = (
                    f"the default of `{name}` contains `${{`, which is not replaced"
                )
                help_ = "write plain text; a default cannot use other variables"
                yield Finding(inspection.value(path), message, help_)
                break


@rule("VA305", "variable-without-value", "warning")
def variable_without_value(inspection: RuleContext) -> Iterator[Finding]:
    """A variable has no default and was not given a value.

    Set values that differ between calls with `vagent run --var`. A call does not start
    without a value.

    Bad:
        greeting: Hello ${caller}.
        variables:
          caller: {description: Who is called}

    Good:
        greeting: Hello ${caller}.
        variables:
          caller: {description: Who is called, default: there}
    """
    given = inspection.variables or {}
    for name in inspection.get(("variables",), dict) or ():
        path = ("variables", name)
        variable = inspection.get(path, dict)
        if variable is None or "default" in variable or name in given:
            continue
        message = f"the variable `{name}` has no value"
        help_ = f"give it a default, or run with --var {name}=…"
        severity = _severity(inspection)
        yield Finding(inspection.key(path), message, help_, severity=severity)


@rule("VA306", "prompt-file-missing")
def prompt_file_missing(inspection: RuleContext) -> Iterator[Finding]:
    """The prompt file does not exist or cannot be read.

    Its path is relative to the folder of the agent file.

    Bad:
        prompt_file: prompts/missing.md

    Good:
        prompt: You are the phone agent of Acme. Be brief.
    """
    prompt = inspection.fact(read_prompt)
    place = inspection.value(("prompt_file",))
    if prompt.problem == "missing":
        help_ = "paths are relative to the agent file's folder"
        yield Finding(place, f"`{prompt.reference}` does not exist", help_)
    elif prompt.problem == "unreadable":
        yield Finding(place, prompt.message)


@rule("VA307", "prompt-file-not-text")
def prompt_file_not_text(inspection: RuleContext) -> Iterator[Finding]:
    """The prompt file is empty or is not UTF-8 text.

    Bad:
        prompt_file: empty.md

    Good:
        prompt: You are the phone agent of Acme. Be brief.
    """
    prompt = inspection.fact(read_prompt)
    if prompt.fault is not None:
        at = Place(prompt.fault.source, prompt.fault.span)
        yield Finding(at, prompt.fault.message, prompt.fault.help)
    elif prompt.problem == "empty":
        place = inspection.value(("prompt_file",))
        yield Finding(place, f"`{prompt.reference}` is empty")


@rule("VA308", "unused-variable", "warning")
def unused_variable(inspection: RuleContext) -> Iterator[Finding]:
    """A variable is declared and no text uses it.

    Either it is no longer needed, or a text misspells its name.

    Bad:
        greeting: Welcome to Acme.
        variables:
          company: {default: Acme}

    Good:
        greeting: Welcome to ${company}.
        variables:
          company: {default: Acme}
    """
    declared = inspection.get(("variables",), dict) or {}
    uses = inspection.fact(find_uses)
    names = {use.placeholder.name for use in uses if use.placeholder.kind == "variable"}
    foreign = {each.variable for each in inspection.fact(find_templates)}
    if (
        inspection.invalid_paths
        or inspection.fact(read_prompt).problem is not None
        or any(use.placeholder.kind == "malformed" for use in uses)
        or not names <= declared.keys()
    ):
        return  # other errors in the file may hide a use
    for name in declared:
        path = ("variables", name)
        if name not in names | foreign and inspection.is_valid(path):
            message = f"the variable `{name}` is never used"
            help_ = f"write ${{{name}}} where its value belongs, or remove it"
            yield Finding(inspection.key(path), message, help_)


def _respell(use: PlaceholderUse) -> Fix | None:
    """Returns a fix that respells `${ a }` as `${a}` and `${env.A}` as `${env:A}`."""
    source, start = use.place.source, use.place.span.start
    found = re.compile(_NEARLY, re.ASCII).match(source.text, start)
    if found is None or use.place.related:
        return None
    prefix = "env:" if found[1] else ""
    new = f"${{{prefix}{found[2]}}}"
    edit = Edit(start, found.end(), new)
    return Fix(f"replace `{found[0]}` by `{new}`", (edit,))


def _severity(inspection: RuleContext) -> Severity | None:
    """Returns "error" if a call is about to start, None for the rule's default."""
    return "error" if inspection.must_run else None


# Rule VA309: placeholders in the syntax of other tools.


@rule("VA309", "foreign-placeholder", "warning")
def foreign_placeholder(inspection: RuleContext) -> Iterator[Finding]:
    """A text contains a placeholder in the syntax of another tool.

    Variables are written `${name}`. Other placeholders are not replaced: the agent
    reads them out. `{name}` and `$name` are reported only if a variable has that name.

    Bad:
        greeting: Welcome to {{company}}.
        variables:
          company: {default: Acme}

    Good:
        greeting: Welcome to ${company}.
        variables:
          company: {default: Acme}
    """
    for each in inspection.fact(find_templates):
        shown = (
            each.written
            if len(each.written) < _MAX_QUOTED_CHARS
            else each.written[:2] + "…"
        )
        message = f"`{shown}` is not replaced and would be spoken"
        help_, fix = (
            "declare a variable under `variables`, and write ${name}",
            None,
        )
        if each.variable is not None:
            new = f"${{{each.variable}}}"
            help_ = f"write {new}"
            fix = replacement(each.place, each.written, new)
        yield Finding(each.place, message, help_, fix)
