from __future__ import annotations

from pathlib import Path

import pytest

from runner.config.files import read_agent_text
from runner.config.lint.checker import Checker
from runner.config.lint.results import CheckedFile, UnreadableFile
from runner.config.lint.selection import Selection
from runner.errors import UsageError

HEAD = "version: 1\nname: a\nsession: {max_duration: 30m}\n"
COMPANY = HEAD + "prompt: Be ${company}.\nvariables: {company: {}}\n"
HOST = HEAD + "prompt: Hi.\nservice: {url: 'wss://${env:VAGENT_HOST}'}\n"


def rules(text: str, checker: Checker) -> list[tuple[str, str]]:
    reading = read_agent_text(text.encode(), Path("a.yaml"))
    [checked] = checker.check([reading])
    assert isinstance(checked, CheckedFile)
    assert checked.source.text == text
    return [
        (each.rule, each.severity) for each in checked.findings if each.rule < "VA5"
    ]


def test_what_a_run_would_miss_is_an_error_only_when_asked() -> None:
    everyday = Checker(Selection(), {}, {})
    about_to_run = Checker(Selection(), {}, {}, must_run=True)
    for text in (COMPANY, HOST):
        [(rule, severity)] = rules(text, everyday)
        assert severity == "warning"
        assert rules(text, about_to_run) == [(rule, "error")]
    assert rules(HOST, Checker(Selection(), {"VAGENT_HOST": "h"}, {}, True)) == []


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_is_not_set(value: str) -> None:
    checker = Checker(Selection(), {"VAGENT_HOST": value}, {}, must_run=True)
    assert rules(HOST, checker) == [("VA302", "error")]


def test_strictly_what_only_this_machine_lacks_stays_a_warning() -> None:
    strict = Checker(Selection(strict=True), {}, {})
    for text in (COMPANY, HOST):
        [(_, severity)] = rules(text, strict)
        assert severity == "warning"


def test_a_variable_is_given_to_the_files_that_declare_it() -> None:
    checker = Checker(Selection(), {"VAGENT_HOST": "h"}, {"company": "Acme"}, True)
    readings = [
        read_agent_text(text.encode(), Path(name))
        for name, text in (("a.yaml", COMPANY), ("b.yaml", HOST))
    ]
    for checked in checker.check(readings):
        assert isinstance(checked, CheckedFile)
        assert not checked.has_errors


def test_a_variable_that_no_file_declares_is_wrong_usage() -> None:
    checker = Checker(Selection(), {}, {"compny": "Acme"})
    with pytest.raises(UsageError, match="declares the variable 'compny'"):
        rules(COMPANY, checker)


def test_only_what_was_selected_is_kept() -> None:
    checker = Checker(Selection(selected=frozenset({"VA203"})), {}, {})
    assert rules(COMPANY + "voise: x\n", checker) == [("VA203", "error")]


def test_what_could_not_be_read_is_passed_on() -> None:
    gone = UnreadableFile(Path("a.yaml"), "a.yaml does not exist")
    assert list(Checker(Selection(), {}, {}).check([gone])) == [gone]
