from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from runner.cli.reports.common import all_rules
from runner.config.lint.explain import explain, list_rules, rules_as_json
from runner.errors import UsageError

RULES = all_rules()


@pytest.mark.parametrize("identifier", RULES)
def test_a_rule_is_explained_with_its_examples(identifier: str) -> None:
    rule = RULES[identifier]
    text = explain(rule)
    assert text.startswith(f"{rule.id} {rule.name} ({rule.severity})\n\n")
    about = rule.documentation
    for example in (about.bad, about.good):
        assert all(f"    {line}".rstrip() in text for line in example.splitlines())
    assert all(word in text for word in about.why.split())
    assert text.endswith("\n") and not text.endswith("\n\n")


def test_the_list_has_a_line_for_every_rule_in_order() -> None:
    lines = list_rules(RULES.values()).splitlines()
    assert [line.split()[0] for line in lines] == sorted(RULES)


def test_the_list_as_json_says_all() -> None:
    listed = {each["id"]: each for each in json.loads(rules_as_json(RULES.values()))}
    assert listed.keys() == RULES.keys()
    for identifier, each in listed.items():
        assert each["name"] == RULES[identifier].name
        assert each["bad"] == RULES[identifier].documentation.bad


def test_a_text_that_was_not_loaded_cannot_be_explained() -> None:
    with pytest.raises(UsageError, match="texts of the rules are not loaded"):
        explain(replace(RULES["VA203"], text=""))


def test_a_log_is_written_without_the_texts() -> None:
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "runner", "validate", "-", "--format", "sarif"],
        input=b"version: 1\nname: a\nprompt: Hi.\nvoise: x\n",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    run = json.loads(done.stdout)["runs"][0]
    assert "VA203" in [each["ruleId"] for each in run["results"]]
