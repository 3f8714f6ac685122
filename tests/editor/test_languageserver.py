"""The schema in the real yaml-language-server: what it offers, shows and flags.

Needs node and `npm install --global yaml-language-server`; without them the tests are
skipped. Nothing is fetched while they run.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.cli.new import render_template, templates
from runner.config.loader import check_file
from runner.config.schema import find_violations, packaged_schema, packaged_text
from runner.config.source import Source
from runner.config.yaml.parser import parse_document
from tests.editor.languageserver import LanguageServer
from tests.editor.snippets import expand
from tests.shipped import AGENT_FILES

ROOT = Path(__file__).parents[2]
BAD = ROOT / "tests" / "config" / "bad"
MODELINE = "# yaml-language-server: $schema=./agent.schema.json\n"
START = f"{MODELINE}version: 1\nname: shop\nprompt: Be brief.\n"

# A range of times is arithmetic, which a JSON Schema cannot do on texts.
NOT_FLAGGED = {"schema_duration_range", "schema_tool_timeout"}
# It points at the mapping's beginning, or its key, where vagent points at the key that
# is one too many, or at the first of those next to which one is missing.
ELSEWHERE = {"schema_tool_two_kinds", "schema_brain_without_url"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    command = shutil.which("yaml-language-server")
    if command is None or shutil.which("node") is None:
        pytest.skip("yaml-language-server is not installed")
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "agent.schema.json").write_text(packaged_text(), "utf-8")
    with LanguageServer([command], folder) as running:
        yield running


def offered(server: LanguageServer, text: str) -> dict[str, dict[str, Any]]:
    """Return what is offered at the end of a text, by its label."""
    *above, last = text.split("\n")
    items = server.complete(server.open(text), len(above), len(last))
    return {each["label"]: each for each in items}


def test_keys_of_an_agent_are_offered_and_described(server: LanguageServer) -> None:
    fields = packaged_schema()["properties"]

    items = offered(server, START)

    assert set(fields) - {"version", "name", "prompt"} <= set(items)
    for name in ("greeting", "tools", "session"):
        assert items[name]["documentation"] == fields[name]["description"]


def test_keys_of_a_tool_are_offered_that_are_not_there_yet(
    server: LanguageServer,
) -> None:
    fields = set(packaged_schema()["$defs"]["tool"]["properties"])

    items = offered(server, f"{START}tools:\n  - python: tools/a.py:f\n    ")

    assert fields - {"python"} <= set(items)
    assert "python" not in items


@pytest.mark.parametrize(
    ("above", "label"),
    [
        ("", "agent"),
        (f"{START}tools:\n  - ", "Python tool"),
        (f"{START}tools:\n  - ", "HTTP tool"),
        (f"{START}tools:\n  - plugin: current_time\n  - ", "end_call"),
        (f"{START}session:\n  ", "idle: ask, then hang up"),
        (f"{START}turn_detection:\n  ", "silences that end a turn"),
        (f"{START}variables:\n  ", "variable"),
        (f"{START}voice: ", "name and volume"),
    ],
)
def test_a_snippet_makes_a_file_that_is_right(
    above: str, label: str, server: LanguageServer
) -> None:
    before = above or MODELINE
    item = offered(server, before)[label]
    inserted = item["textEdit"]["newText"] if "textEdit" in item else item["insertText"]
    # Editors put the indentation of the cursor's line before further lines.
    line = before.rpartition("\n")[2]
    indent = " " * (len(line) - len(line.lstrip(" ")))
    text = before + expand(inserted).replace("\n", "\n" + indent)

    document, findings = parse_document(Source("a.yaml", text))

    assert document is not None and findings == [], text
    assert find_violations(document.value, packaged_schema()) == [], text


def test_every_key_says_what_it_is_for(server: LanguageServer) -> None:
    text = (ROOT / "agents" / "support.yaml").read_text("utf-8")
    uri = server.open(text)
    silent = []
    for number, line in enumerate(text.splitlines()):
        key = re.match(r"( *(?:- )?)(\w+):", line)
        if key and len(server.hover(uri, number, len(key[1]) + 1)) < 60:
            silent.append(key[2])

    assert silent == []


def test_what_vagent_flags_is_flagged_in_the_same_line(server: LanguageServer) -> None:
    files = sorted(BAD.glob("schema_*.yaml"))
    # All at once: the server waits a moment before it looks at a text.
    opened = [server.open(MODELINE + each.read_text("utf-8")) for each in files]
    silent, elsewhere = set(), set()
    for file, uri in zip(files, opened, strict=True):
        ours = {each.line for each in check_file(file, environment={})}
        # The modeline is a line more, and they count from 0.
        flagged = server.diagnostics(uri)
        theirs = {each["range"]["start"]["line"] for each in flagged}
        if not theirs:
            silent.add(file.stem)
        elif not ours & theirs:
            elsewhere.add(file.stem)

    assert silent == NOT_FLAGGED
    assert elsewhere == ELSEWHERE


def test_nothing_is_flagged_in_what_is_right(server: LanguageServer) -> None:
    texts = [each.read_text("utf-8") for each in AGENT_FILES]
    for each in templates().values():
        texts.append(render_template(each, "shop", greeting=each.greeting)["shop.yaml"])

    opened = [server.open(each) for each in texts]
    flagged = [server.diagnostics(each) for each in opened]

    assert flagged == [[]] * len(texts)
