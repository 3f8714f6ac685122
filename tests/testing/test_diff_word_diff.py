"""Two texts word by word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.testing.diff import DiffSegment, compare_words, shorten_runs

TEXTS = st.lists(st.sampled_from(["a", "b", "c", " ", "\n"]), max_size=12).map("".join)


def test_changed_words_stand_between_those_that_stayed() -> None:
    assert compare_words("Be very brief.", "Be brief and warm.") == [
        DiffSegment("same", "Be "),
        DiffSegment("old", "very brief."),
        DiffSegment("new", "brief and warm."),
    ]


@given(TEXTS, TEXTS)
def test_both_texts_can_be_put_together_again(old: str, new: str) -> None:
    runs = compare_words(old, new)

    assert "".join(run.text for run in runs if run.kind != "new") == old
    assert "".join(run.text for run in runs if run.kind != "old") == new


def test_only_equal_text_is_shortened() -> None:
    long = "word " * 100
    runs = shorten_runs(
        [
            DiffSegment("same", long),
            DiffSegment("old", long),
            DiffSegment("same", long),
        ],
        20,
    )

    assert runs[1].text == long
    assert runs[0].text == "…" + long[-20:]
    assert runs[2].text == long[:20] + "…"
