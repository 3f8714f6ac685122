from __future__ import annotations

from tests.cli.reports.findings_samples import samples


def test_the_sums_are_those_of_the_findings() -> None:
    assert str(samples().summary) == (
        "2 files checked, 3 errors, 1 warning, 1 fixable with --fix, 1 file unreadable"
    )


def test_findings_are_in_the_order_of_the_files() -> None:
    rules = [each.rule for each in samples().findings]
    assert rules == ["VA302", "VA203", "VA102", "VA301"]


def test_what_is_not_shown_is_counted() -> None:
    shown = samples().shortened(2)
    assert [each.rule for each in shown.findings] == ["VA302", "VA203"]
    assert str(shown.summary).endswith("1 file unreadable, 2 not shown")
    assert shown.summary.errors == 3
    assert len(shown.files) == 2


def test_nothing_is_left_out_unless_asked() -> None:
    assert samples().shortened(None) == samples()


def test_warnings_can_be_left_out() -> None:
    shown = samples().shortened(None, errors_only=True)
    assert all(each.is_error for each in shown.findings)
    assert shown.summary.hidden == 1


def test_only_an_error_fails_a_file() -> None:
    bad, clean = samples().files
    assert (bad.has_errors, clean.has_errors) == (True, False)
