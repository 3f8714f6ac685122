"""Rules VA101 to VA117: YAML syntax, suppression comments and modelines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from runner.config.diagnostics import Edit, Finding, Fix, Place, replacement
from runner.config.files import find_modeline, find_schema, is_missing, modeline_for
from runner.config.lint.context import documented, rule
from runner.config.source import Span
from runner.config.yaml.nodes import STARTS, read_elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Node, Pointer


YAML_SYNTAX = documented(
    "VA101",
    "yaml-syntax",
    """The text is not valid YAML.

    The rest of the file is checked only if the intended text is clear.

    Bad:
        greeting: "Hello
        name: shop

    Good:
        greeting: "Hello"
        name: shop
    """,
)

REPEATED_KEY = documented(
    "VA102",
    "repeated-key",
    """A mapping has the same key twice.

    YAML readers keep the last one and silently drop the other.

    Bad:
        greeting: Hello.
        greeting: Good day.

    Good:
        greeting: Hello.
    """,
)

KEY_NOT_TEXT = documented(
    "VA103",
    "key-not-text",
    """A key is not text but a number, a list or another value.

    The keys of an agent file are names.

    Bad:
        variables:
          1: {default: one}

    Good:
        greeting: Welcome to platform ${one}.
        variables:
          one: {default: one}
    """,
)

TAG_NOT_ALLOWED = documented(
    "VA104",
    "tag-not-allowed",
    """A value has a YAML tag that is not allowed in an agent file.

    Tags can make other YAML readers run code; agent files hold plain data.

    Bad:
        greeting: !!python/name:os.system

    Good:
        greeting: Hello.
    """,
)

NUMBER_NOT_JSON = documented(
    "VA105",
    "number-not-json",
    """A number is infinite, not a number, or too long.

    JSON, the format of the protocol, cannot represent it.

    Bad:
        voice: {name: alba, volume: .inf}

    Good:
        voice: {name: alba, volume: 100}
    """,
)

SECOND_DOCUMENT = documented(
    "VA106",
    "second-document",
    """A second YAML document begins in the file.

    An agent file holds one agent; what comes after `---` would be ignored.

    Bad:
        greeting: Hello.
        ---
        greeting: Good day.

    Good:
        greeting: Hello.
    """,
)

EMPTY_FILE = documented(
    "VA107",
    "empty-file",
    """There is nothing in the file.

    An agent has at least `version`, `name` and a prompt.

    Bad:
        # to do

    Good:
        version: 1
        name: shop
        prompt: You are the phone agent of a shop. Be brief.
        session: {max_duration: 30m}
    """,
)

NOT_TEXT = documented(
    "VA108",
    "not-text",
    """The file is not UTF-8 text.

    A control character or another encoding shows that something went wrong when it was
    saved.

    Bad:
        greeting: "a character\\x07 that rings a bell"

    Good:
        greeting: Hello.
    """,
)

TOO_LARGE = documented(
    "VA109",
    "too-large",
    """The file is larger than a megabyte.

    An agent file is a page or two of text; put data into a tool.

    Bad:
        # a megabyte of text

    Good:
        version: 1
        name: shop
        prompt: You are the phone agent of a shop. Be brief.
        session: {max_duration: 30m}
    """,
)

NESTED_TOO_DEEP = documented(
    "VA110",
    "nested-too-deep",
    """Values are nested too deeply, or aliases repeat too much.

    No field needs this depth; such files can exhaust the memory of a reader.

    Bad:
        # more than 32 brackets
        prompt: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]

    Good:
        prompt: You are the phone agent of a shop. Be brief.
    """,
)

MERGE_OF_NO_MAPPING = documented(
    "VA111",
    "merge-of-no-mapping",
    """The value of a merge key `<<` is not a mapping.

    A merge key copies the entries of a mapping, or of a list of mappings.

    Bad:
        turn_detection:
          <<: hello

    Good:
        turn_detection:
          <<: {vad_threshold: 0.5}
    """,
)

ALIAS_OF_NOTHING = documented(
    "VA112",
    "alias-of-nothing",
    """An alias has no anchor before it, or is inside its own anchor.

    `*name` repeats the value that `&name` marks earlier in the file.

    Bad:
        greeting: *hello

    Good:
        key_terms: [&brand Acme]
        greeting: *brand
    """,
)

IGNORE_UNUSED = documented(
    "VA113",
    "ignore-unused",
    """A suppression comment has no effect.

    The rule reports nothing there any more; the comment would hide the next mistake.

    Bad:
        greeting: Hello.  # vagent: ignore[VA308] we want that

    Good:
        greeting: Hello.
    """,
    "warning",
)

IGNORE_WRONG = documented(
    "VA114",
    "ignore-wrong",
    """A suppression comment is not valid.

    It names no rule, an unknown rule, or an error. Errors cannot be suppressed.

    Bad:
        greeting: Hello.  # vagent: ignore[VA9999] no such rule

    Good:
        greeting: Hello.
    """,
    "warning",
)


# Rules VA115 and VA117: the modeline, which names the schema for editors.


@rule("VA115", "modeline-missing", "warning")
def modeline_missing(inspection: RuleContext) -> Iterator[Finding]:
    """The file does not refer to the schema in its folder or a folder above.

    With a first line that names the schema, editors complete and check a file while it
    is written: agent.schema.json for an agent, scenario.schema.json for scenarios.
    `vagent schema --write` has put the schema into this folder or into one above it, in
    the same repository.

    Bad:
        # schemas/agent.yaml, next to schemas/agent.schema.json
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
    message = "the file has no modeline that names its schema for editors"
    place = Place(source, Span(at, at))
    yield Finding(place, message, f"begin the file with {shown}", fix)


@rule("VA117", "modeline-broken", "warning")
def modeline_broken(inspection: RuleContext) -> Iterator[Finding]:
    """The modeline refers to a schema that does not exist.

    Editors then silently neither complete nor check the file.

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


# Rule VA116: values that YAML 1.1 readers interpret differently.


@rule("VA116", "read-differently", "warning")
def read_differently(inspection: RuleContext) -> Iterator[Finding]:
    """A value has another meaning in YAML 1.1.

    Most programs and many editors still read YAML 1.1, where `no` is false, `12:30` a
    number and `2024-01-01` a date. Vagent reads them as text;
    with quotes, every reader does.

    Bad:
        languages: [en, no]

    Good:
        languages: [en, "no"]
    """
    for path, node in _plain_scalars(inspection.document.root, ()):
        text = inspection.document.source.text[node.span.start : node.span.end]
        meaning = read_elsewhere(text, node.value)
        if meaning is None or not inspection.is_valid(path):
            continue
        is_text = isinstance(node.value, str)
        new = f'"{text}"' if is_text else json.dumps(node.value)
        here = "text" if is_text else new
        message = f"`{text}` is {here} here, but {meaning} to readers of YAML 1.1"
        help_ = f"put it in quotes: {new}" if is_text else f"write {new}"
        fix = Fix(f"replace `{text}` by `{new}`", (Edit(*node.span, new),))
        yield Finding(inspection.value(path), message, help_, fix)


def _plain_scalars(node: Node, path: Pointer) -> Iterator[tuple[Pointer, Node]]:
    """Yields the plain scalars that are written out below a node and may be meant."""
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
