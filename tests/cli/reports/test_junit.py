from __future__ import annotations

from dataclasses import replace
from xml.etree.ElementTree import Element, fromstring

from runner.cli.reports.junit import write_junit
from runner.config.lint.results import gather
from tests.cli.reports.findings_samples import ROOT, samples


def suites(text: str) -> list[Element]:
    return fromstring(text).findall("testsuite")


def test_a_file_is_a_suite_whose_counts_are_those_of_its_cases() -> None:
    for suite in suites(write_junit(samples())):
        cases = suite.findall("testcase")
        assert suite.get("tests") == str(len(cases))
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
        assert suite.get("errors") == str(len(suite.findall("testcase/error")))


def test_the_whole_counts_all_suites() -> None:
    root = fromstring(write_junit(samples()))
    assert root.attrib["tests"] == "6"
    assert (root.attrib["failures"], root.attrib["errors"]) == ("3", "1")


def test_a_clean_file_is_a_passing_case() -> None:
    clean = suites(write_junit(samples()))[1]
    [case] = clean.findall("testcase")
    assert (case.get("name"), len(case)) == ("valid", 0)


def test_a_warning_passes_and_is_in_the_output() -> None:
    [case] = [
        each
        for each in suites(write_junit(samples()))[0].findall("testcase")
        if "VA302" in each.get("name", "")
    ]
    assert [child.tag for child in case] == ["system-out"]


def test_a_file_that_was_not_read_is_an_error() -> None:
    gone = suites(write_junit(samples()))[2]
    error = gone.find("testcase/error")
    assert error is not None
    assert error.get("message") == "agents/gone.yaml does not exist"


def test_every_character_gives_valid_xml() -> None:
    before = samples()
    file = before.files[0]
    odd = replace(file.findings[0], message="\x00\x1b[0m]]>\udc80\uffff&<\"'")
    text = write_junit(gather(ROOT, [replace(file, findings=(odd,))], []))
    [out] = fromstring(text).iter("system-out")
    assert out.text is not None
    assert "\ufffd\ufffd[0m]]>\ufffd\ufffd&<\"'" in out.text
