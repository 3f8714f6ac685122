"""Rules VA601 and VA604: what must not be reached, and not be said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding
from runner.config.placeholders import find_uses
from runner.config.prompts import read_prompt
from runner.config.pyfiles import find_python_tools
from runner.config.rules.rule import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.inspection import Inspection

_WHERE_ENV = "${env:…} may stand in http tools, service.url and local.brain"


@rule("VA601", "file-outside")
def file_outside(inspection: Inspection) -> Iterator[Finding]:
    """A file that the agent names lies outside the agent's folder.

    An agent file runs only code that its author has put beside it or installed, and
    shows the model only what lies there. A path through `..`, an absolute path and a
    symbolic link that leads away are refused alike.

    Bad:
        tools:
          - python: ../elsewhere.py:lookup

    Good:
        tools:
          - python: tools/shop.py:lookup
    """
    prompt = inspection.fact(read_prompt)
    if prompt.problem == "outside":
        message = f"`{prompt.reference}` is outside the agent's folder"
        help_ = "a prompt lies beside the agent file or in a folder below it"
        yield Finding(inspection.value(("prompt_file",)), message, help_)
    for tool in inspection.fact(find_python_tools):
        if tool.real is None:
            message = f"`{tool.file}` is outside the agent's folder"
            help_ = "tools lie beside the agent file or in a folder below it"
            yield Finding(inspection.value(tool.path), message, help_)


@rule("VA604", "environment-spoken")
def environment_spoken(inspection: Inspection) -> Iterator[Finding]:
    """An environment variable stands in a text that is spoken or shown to the model.

    The environment holds secrets, and what the model has read it may say. A value that
    is meant to be said is a variable: `vagent run --var name=value`.

    Bad:
        greeting: Welcome to ${env:COMPANY}.

    Good:
        greeting: Welcome to ${company}.
        variables:
          company: {default: Acme}
    """
    for use in inspection.fact(find_uses):
        if use.placeholder.kind == "environment" and use.allowed != "secret":
            name = use.placeholder.name
            message = f"`${{env:{name}}}` would be spoken or shown to the model"
            yield Finding(use.place, message, _WHERE_ENV)
