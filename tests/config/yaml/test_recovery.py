from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.config.loader import check_file, load_agent
from runner.config.yaml.parser import first_error
from runner.config.yaml.recovery import Recovered, recover
from runner.config.yaml.syntax import ParserError
from runner.errors import ConfigError


def recovered(text: str) -> Recovered:
    complaint = first_error(text)
    assert complaint is not None
    return recover(text, complaint, first_error)


def errors(folder: Path, text: str) -> list[tuple[int, str]]:
    path = folder / "agent.yaml"
    path.write_text(text, "utf-8")
    found = check_file(path, environment={})
    return [(each.line, each.rule) for each in found if each.is_error]


def test_each_of_several_syntax_errors_is_reported() -> None:
    result = recovered("a 1\nb: [c\nd: 'x\ne: 2\n")
    assert [each.at for each in result.errors] == [0, 7, 13]
    assert result.text == "a: 1\nb: [c]\nd: 'x'\ne: 2\n"


def test_a_quote_that_is_open_to_the_end_hides_no_other_slip() -> None:
    result = recovered('a 1\nb: "c\nd: 2\ne: [f\ng: {h: 3}\n')
    assert [each.at for each in result.errors] == [0, 7, 18]
    assert result.text == 'a: 1\nb: "c"\nd: 2\ne: [f]\ng: {h: 3}\n'


def test_positions_in_the_repaired_text_map_to_the_original() -> None:
    result = recovered("a 1\nb: 2\n")
    assert result.text is not None
    assert result.origins[result.text.index("b")] == 4
    assert result.offsets == [1, 1]


def test_what_stays_unreadable_has_one_fault() -> None:
    result = recovered("a: 1\n}{][\n&&\n")
    assert result.text is None
    assert len(result.errors) == 1


def test_a_text_of_slips_is_given_up() -> None:
    result = recovered("a: 1\n" + "b 2\n" * 50)
    assert (result.text, len(result.errors)) == (None, 1)


def test_a_large_text_is_tried_a_few_times_only() -> None:
    reads = 0

    def read(text: str) -> ParserError | None:
        nonlocal reads
        reads += 1
        return ParserError("did not find expected key", "", text.index("b"), 0)

    text = "# " + "x" * 500_000 + "\na: 1\n b 2\n"
    complaint = read(text)
    assert complaint is not None
    recover(text, complaint, read)
    assert reads <= 5


def test_findings_after_a_syntax_error_are_reported_too(tmp_path: Path) -> None:
    text = "version: 1\nname clerk\nprompt: Be brief.\nvoise: alba\n"
    assert errors(tmp_path, text) == [(2, "VA101"), (4, "VA203")]


def test_a_file_that_was_repaired_for_checking_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text("version: 1\nname clerk\nprompt: Be brief.\n", "utf-8")
    with pytest.raises(ConfigError, match="1 error"):
        load_agent(path, environment={})


def test_a_repaired_line_has_no_other_findings(tmp_path: Path) -> None:
    text = "version: 1\nname: clerk\nprompt: Be brief.\noops\nvoice: alba\n"
    assert errors(tmp_path, text) == [(4, "VA101")]


def test_only_syntax_is_reported_where_the_meaning_is_unsure(tmp_path: Path) -> None:
    text = (
        "version: 1\nname: clerk\nprompt: Be brief.\nsession:\n  idle:\n"
        "    end_after: 30s\n\tmax_duration: 5m\ncolour: red\n"
    )
    assert errors(tmp_path, text) == [(7, "VA101")]


def test_what_was_found_above_an_error_without_remedy_is_kept(tmp_path: Path) -> None:
    text = "name: a\nname: b\n}{][\n&&\nname: c\n"
    assert errors(tmp_path, text) == [(2, "VA102"), (3, "VA101")]


@settings(max_examples=300, deadline=None)
@given(st.text("ab:- \t\n'\"[]{},#&*|>@\\", max_size=60))
def test_any_text_is_recovered_or_refused(text: str) -> None:
    complaint = first_error(text)
    if complaint is None:
        return
    result = recover(text, complaint, first_error)
    assert 1 <= len(result.errors) <= 20
    assert all(0 <= each.at <= len(text) for each in result.errors)
    if result.text is not None:
        assert first_error(result.text) is None
        assert len(result.origins) == len(result.text) + 1
