"""Results as JUnit's XML, as CI servers read it: a suite for each scenario file."""

from __future__ import annotations

from pathlib import PurePath
from xml.etree.ElementTree import Element, SubElement

from runner.checking.reports.markup import xml_document, xml_text
from runner.checking.reports.places import shown_path
from runner.cli.reports.text import describe_failure
from runner.testing.results import Report, ScenarioResult, Status

_COUNTS = {
    "failures": Status.FAILED,
    "errors": Status.ERROR,
    "skipped": Status.SKIPPED,
}


def write_junit(report: Report) -> str:
    """Write one document; times are those of the calls."""
    root = Element("testsuites", name="vagent test")
    suites: dict[str, list[ScenarioResult]] = {}
    for result in report.results:
        path = shown_path(result.scenario.place.path, report.root)
        suites.setdefault(path, []).append(result)
    for path, results in suites.items():
        root.append(_suite(path, results, report.root))
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(each.get(count, "0")) for each in root)))
    return xml_document(root)


def _suite(path: str, results: list[ScenarioResult], root: PurePath) -> Element:
    suite = Element("testsuite", name=xml_text(path), tests=str(len(results)))
    for name, status in _COUNTS.items():
        suite.set(name, str(sum(each.status is status for each in results)))
    suite.set("time", f"{sum(each.seconds for each in results):.3f}")
    for result in results:
        _case(suite, result, path, root)
    return suite


def _case(suite: Element, result: ScenarioResult, path: str, root: PurePath) -> None:
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
