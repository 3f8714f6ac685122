"""Every rule: documented by examples that do what they claim, shown by files."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.config.diagnostics import Diagnostic, Finding, render
from runner.config.lint.context import Rule, RuleContext, rule
from runner.config.lint.rules import RULES
from runner.config.loader import check_file

FOLDER = Path(__file__).parents[1]
CASES = FOLDER / "cases"
# Fields that examples omit. The last avoids the finding about the end of a call.
HEAD = {
    "version": "version: 1\n",
    "name": "name: shop\n",
    "prompt": "prompt: You are the phone agent of a shop. Be brief.\n",
    "session": "session: {max_duration: 30m}\n",
}
# A file of over a megabyte, and what only the schema of a plugin's kind can say.
UNWRITTEN = {"VA109", "VA299"}
# A page cannot show a character that is none.
UNSHOWN = {*UNWRITTEN, "VA108"}


def lay_out(folder: Path, example: str) -> Path:
    """Write an example as an agent file next to its tools, with the omitted fields."""
    shutil.copytree(FOLDER / "beside", folder, dirs_exist_ok=True)
    (folder / "empty.md").write_text("", "utf-8")
    (folder / "handbook.md").write_text("Returns take thirty days. " * 800, "utf-8")
    (folder / "tools" / "broken.py").write_text("def lookup(:\n", "utf-8")
    if "agent.schema.json" in example:
        (folder / "agent.schema.json").write_text("{}", "utf-8")
    path = folder / "agent.yaml"
    is_whole = example.startswith(("version:", "#"))
    keys = set(re.findall(r"^(\w+):", example, re.MULTILINE))
    if "prompt_file" in keys:
        keys.add("prompt")
    head = [] if is_whole else [HEAD[key] for key in HEAD if key not in keys]
    path.write_text("".join(head) + example, "utf-8")
    return path


def check(path: Path) -> list[Diagnostic]:
    """Check a file where every environment variable of the examples is set but one."""
    text = path.read_text("utf-8", errors="replace")
    names = set(re.findall(r"\$\{env:(\w+)\}", text)) - {"VAGENT_EXAMPLE_NOT_SET"}
    return check_file(path, environment=dict.fromkeys(names, "x"))


@pytest.mark.parametrize("each", RULES.values(), ids=RULES.keys())
def test_a_rule_is_documented(each: Rule) -> None:
    documentation = each.documentation
    assert documentation.summary.endswith(".")
    assert len(documentation.summary) <= 88
    assert re.fullmatch(r"VA[1-6][0-9]{2}", each.id)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", each.name)


@pytest.mark.parametrize("identifier", sorted(RULES.keys() - UNSHOWN))
def test_the_bad_example_breaks_its_rule_and_no_other(
    tmp_path: Path, identifier: str
) -> None:
    example = RULES[identifier].documentation.bad
    found = check(lay_out(tmp_path, example))
    assert {each.rule for each in found} == {identifier}, render(found)


@pytest.mark.parametrize("each", RULES.values(), ids=RULES.keys())
def test_nothing_is_said_about_the_good_example(tmp_path: Path, each: Rule) -> None:
    found = check(lay_out(tmp_path, each.documentation.good))
    assert not found, render(found)


@pytest.mark.parametrize("each", RULES.values(), ids=RULES.keys())
def test_severity_is_that_of_the_rule(tmp_path: Path, each: Rule) -> None:
    if each.id not in UNSHOWN:
        for found in check(lay_out(tmp_path, each.documentation.bad)):
            assert found.severity == each.severity


def test_names_are_used_once() -> None:
    names = [each.name for each in RULES.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("identifier", sorted(each.name for each in CASES.iterdir()))
def test_a_bad_file_is_explained_and_a_good_one_is_not_blamed(
    identifier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To accept new wordings: UPDATE_GOLDEN=1, then read the difference."""
    monkeypatch.chdir(CASES / identifier)
    found = check(Path("bad.yaml"))
    assert identifier in {each.rule for each in found}
    said, expected = render(found), Path("bad.txt")
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_bytes(said.encode())
    assert said == expected.read_bytes().decode()
    assert render(check(Path("good.yaml"))) == ""


def test_every_rule_has_a_bad_and_a_good_file() -> None:
    assert {each.name for each in CASES.iterdir()} == RULES.keys() - UNWRITTEN


def test_a_rule_without_examples_cannot_be_explained() -> None:
    @rule("VA999", "nothing")
    def nothing(inspection: RuleContext) -> Iterator[Finding]:
        """It says nothing."""
        return iter(())

    with pytest.raises(ValueError, match="VA999"):
        _ = nothing.documentation
