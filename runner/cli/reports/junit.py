"""Results as JUnit's XML, as CI servers read it: a suite for each file.

A finding is a test case. An error fails it; a warning passes, with its text in
`system-out`, as `vagent validate` passes too. A clean file is one passing test case.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement

from runner.cli.reports.common import find_rule, xml_document, xml_text
from runner.config.lint.discovery import shown_path
from runner.testing.results import Report, ScenarioResult, Status, describe_failure

if TYPE_CHECKING:
    from runner.config.diagnostics import Diagnostic
    from runner.config.lint.results import CheckedFile, Results, UnreadableFile


def write_junit(results: Results) -> str:
    """Writes one document."""
    root = Element("testsuites", name="vagent validate")
    for file in results.files:
        root.append(_suite(file, results.root))
    for unreadable in results.unreadable:
        root.append(_unreadable(unreadable, results.root))
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(each.get(count, "0")) for each in root)))
    return xml_document(root)


def _suite(file: CheckedFile, root: PurePath) -> Element:
    path = shown_path(file.path, root)
    failures = sum(each.is_error for each in file.findings)
    suite = _new_suite(path, max(1, len(file.findings)), failures, 0)
    if not file.findings:
        SubElement(suite, "testcase", name="valid", classname=xml_text(path), file=path)
    for found in file.findings:
        _case(suite, found, shown_path(PurePath(found.path), root))
    return suite


def _case(suite: Element, found: Diagnostic, path: str) -> None:
    case = SubElement(
        suite,
        "testcase",
        name=f"{found.rule} {find_rule(found.rule).name} ({found.line}:{found.column})",
        classname=suite.get("name", ""),
        file=xml_text(path),
        line=str(found.line),
    )
    text = f"{path}:{found.line}:{found.column}: {found.message}"
    if found.help:
        text += f"\nhelp: {found.help}"
    if found.is_error:
        failure = SubElement(
            case, "failure", message=xml_text(found.message), type=found.rule
        )
        failure.text = xml_text(text)
    else:
        SubElement(case, "system-out").text = xml_text(f"warning: {text}")


def _unreadable(file: UnreadableFile, root: PurePath) -> Element:
    path = shown_path(file.path, root)
    suite = _new_suite(path, 1, 0, 1)
    case = SubElement(suite, "testcase", name="readable", classname=xml_text(path))
    SubElement(case, "error", message=xml_text(file.message), type="unreadable")
    return suite


def _new_suite(path: str, tests: int, failures: int, errors: int) -> Element:
    return Element(
        "testsuite",
        name=xml_text(path),
        tests=str(tests),
        failures=str(failures),
        errors=str(errors),
        skipped="0",
        time="0",
    )


_COUNTS = {
    "failures": Status.FAILED,
    "errors": Status.ERROR,
    "skipped": Status.SKIPPED,
}


def write_scenario_junit(report: Report) -> str:
    """Returns one document with a suite per scenario file; times are those of calls."""
    root = Element("testsuites", name="vagent test")
    suites: dict[str, list[ScenarioResult]] = {}
    for result in report.results:
        path = shown_path(result.scenario.place.path, report.root)
        suites.setdefault(path, []).append(result)
    for path, results in suites.items():
        root.append(_scenario_suite(path, results, report.root))
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(each.get(count, "0")) for each in root)))
    return xml_document(root)


def _scenario_suite(
    path: str, results: list[ScenarioResult], root: PurePath
) -> Element:
    suite = Element("testsuite", name=xml_text(path), tests=str(len(results)))
    for name, status in _COUNTS.items():
        suite.set(name, str(sum(each.status is status for each in results)))
    suite.set("time", f"{sum(each.seconds for each in results):.3f}")
    for result in results:
        _scenario_case(suite, result, path, root)
    return suite


def _scenario_case(
    suite: Element, result: ScenarioResult, path: str, root: PurePath
) -> None:
    again = f" (run {result.run + 1})" if result.run else ""
    case = SubElement(
        suite,
        "testcase",
        name=xml_text(result.scenario.id + again),
        classname=xml_text(path),
        file=xml_text(path),
        line=str(result.scenario.place.line),
        time=f"{result.seconds:.3f}",
    )
    _describe(case, result, root)
    match result.status:
        case Status.FAILED if result.failure is not None:
            message = f"expected {result.failure.expected}"
            failure = SubElement(
                case, "failure", message=xml_text(message), type="expectation"
            )
            failure.text = xml_text(describe_failure(result, root))
        case Status.ERROR:
            error = SubElement(
                case, "error", message=xml_text(result.error or ""), type="error"
            )
            error.text = xml_text(describe_failure(result, root))
        case Status.SKIPPED:
            SubElement(case, "skipped", message=xml_text(result.error or ""))
    if result.left_out:
        SubElement(case, "system-out").text = xml_text("\n".join(result.left_out))


def _describe(case: Element, result: ScenarioResult, root: PurePath) -> None:
    known = {"service": result.service, "seed": str(result.seed)}
    if result.recording is not None:
        known["recording"] = shown_path(result.recording, root)
    properties = SubElement(case, "properties")
    for name, value in known.items():
        SubElement(properties, "property", name=name, value=xml_text(value))
