"""Rule VA116: what other YAML readers read differently."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from runner.config.diagnostics import Edit, Finding, Fix
from runner.config.legacy import STARTS, read_elsewhere
from runner.config.rules.rule import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Node, Pointer


@rule("VA116", "read-differently", "warning")
def read_differently(inspection: RuleContext) -> Iterator[Finding]:
    """A value means something else to readers of YAML 1.1.

    Most programs and many editors still read YAML 1.1, where `no` is false, `12:30` a
    number and `2024-01-01` a date. Vagent takes them as the text that they look like;
    with quotes, everybody does.

    Bad:
        languages: [en, no]

    Good:
        languages: [en, "no"]
    """
    for path, node in _plain_scalars(inspection.document.root, ()):
        text = inspection.document.source.text[node.span.start : node.span.end]
        meaning = read_elsewhere(text, node.value)
        if meaning is None or not inspection.is_sound(path):
            continue
        is_text = isinstance(node.value, str)
        new = f'"{text}"' if is_text else json.dumps(node.value)
        here = "text" if is_text else new
        message = f"`{text}` is {here} here, but {meaning} to readers of YAML 1.1"
        help_ = f"put it in quotes: {new}" if is_text else f"write {new}"
        fix = Fix(f"replace `{text}` by `{new}`", (Edit(*node.span, new),))
        yield Finding(inspection.value(path), message, help_, fix)


def _plain_scalars(node: Node, path: Pointer) -> Iterator[tuple[Pointer, Node]]:
    """Yield the plain scalars that are written out below a node and may be meant."""
    if node.is_alias:
        return
    if node.entries is not None:
        for name, entry in node.entries.items():
            if entry.node is not None and entry.origin is None:
                yield from _plain_scalars(entry.node, (*path, name))
    elif node.items is not None:
        for index, item in enumerate(node.items):
            yield from _plain_scalars(item, (*path, index))
    elif node.style == "" and node.value is not None:
        value = node.value
        if not isinstance(value, str) or (value[:1] in STARTS and len(value) < 40):
            yield path, node
