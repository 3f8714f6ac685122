"""The spoken part of an interrupted reply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.protocol.server.turn_taking import Utterance


def utterance(*clauses: tuple[str, float]) -> Utterance:
    made = Utterance("resp_1", "msg_1", 48)
    for text, duration_ms in clauses:
        made.begin_clause(text, duration_ms)
    return made


@pytest.mark.parametrize(
    ("sent_ms", "spoken"),
    [
        (0, ""),
        (240, ""),
        (260, "One"),
        (990, "One two"),
        (1000, "One two"),
        (1200, "One two"),
        (1600, "One two three"),
    ],
)
def test_a_word_counts_once_its_middle_was_heard(sent_ms: int, spoken: str) -> None:
    # Three letters, then three: each word lasts 500 ms.
    cut = utterance(("One two", 1000), ("three", 1000))
    cut.count(bytes(48 * sent_ms))

    assert cut.spoken_text() == spoken


def test_words_without_audio_count_as_spoken_at_once() -> None:
    assert utterance(("Only text.", 0)).spoken_text() == "Only text."


def test_words_that_were_never_begun_are_not_in_the_text() -> None:
    assert utterance().text == ""
    assert utterance(("One.", 10), ("Two.", 10)).text == "One. Two."


def test_a_gap_between_clauses_moves_the_times_of_what_follows() -> None:
    cut = utterance(("One.", 100))
    cut.count(bytes(48 * 150))

    [delta] = cut.begin_clause("Two.", 100)

    assert (delta.start_ms, delta.end_ms) == (150, 250)


@given(
    st.lists(st.tuples(st.text("ab .", max_size=20), st.floats(0, 5_000)), max_size=5),
    st.lists(st.integers(0, 100_000), max_size=5),
)
def test_the_spoken_text_grows_with_the_audio_and_is_a_prefix_of_the_text(
    clauses: list[tuple[str, float]], sounds: list[int]
) -> None:
    cut = utterance(*clauses)
    spoken = ""
    for size in sounds:
        cut.count(bytes(size))
        assert cut.spoken_text().startswith(spoken)
        spoken = cut.spoken_text()
        assert cut.text.startswith(spoken)


@pytest.mark.parametrize(
    ("is_greeting", "words"),
    [(True, ["Hi", "there."]), (False, ["Hi ", "there. "])],
)
def test_the_words_of_a_greeting_have_no_spaces(
    is_greeting: bool, words: list[str]
) -> None:
    made = Utterance("resp_1", "msg_1", 48, is_greeting=is_greeting)

    assert [each.delta for each in made.begin_clause("Hi there.", 100)] == words
    assert made.text == "Hi there."
