"""Results as JUnit's XML, as CI servers read it: a suite for each scenario file."""

from __future__ import annotations

import re
from pathlib import PurePath
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from runner.checking.reports.places import shown_path
from runner.testing.reports.text import describe_failure
from runner.testing.results import Report, ScenarioResult, Status

# The complement of the characters that XML 1.0 has (production 2).
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
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
    indent(root)
    # ASCII with character references: the same in whatever encoding it is written.
    data: bytes = tostring(root, encoding="us-ascii", xml_declaration=True)
    return data.decode("ascii") + "\n"


def _suite(path: str, results: list[ScenarioResult], root: PurePath) -> Element:
    suite = Element("testsuite", name=_clean(path), tests=str(len(results)))
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
        name=_clean(result.scenario.id + again),
        classname=_clean(path),
        file=_clean(path),
        line=str(result.scenario.place.line),
        time=f"{result.seconds:.3f}",
    )
    _describe(case, result, root)
    match result.status:
        case Status.FAILED if result.failure is not None:
            message = f"expected {result.failure.expected}"
            failure = SubElement(
                case, "failure", message=_clean(message), type="expectation"
            )
            failure.text = _clean(describe_failure(result, root))
        case Status.ERROR:
            error = SubElement(
                case, "error", message=_clean(result.error or ""), type="error"
            )
            error.text = _clean(describe_failure(result, root))
        case Status.SKIPPED:
            SubElement(case, "skipped", message=_clean(result.error or ""))
    if result.left_out:
        SubElement(case, "system-out").text = _clean("\n".join(result.left_out))


def _describe(case: Element, result: ScenarioResult, root: PurePath) -> None:
    known = {"service": result.service, "seed": str(result.seed)}
    if result.recording is not None:
        known["recording"] = shown_path(result.recording, root)
    properties = SubElement(case, "properties")
    for name, value in known.items():
        SubElement(properties, "property", name=name, value=_clean(value))


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
