from hypothesis import given
from hypothesis import strategies as st

from runner.speech.llm.text import ClauseSplitter


def cut(text: str, size: int = 1) -> list[str]:
    cutter = ClauseSplitter()
    clauses: list[str] = []
    for at in range(0, len(text), size):
        clauses += cutter.feed(text[at : at + size])
    return [*clauses, *cutter.finish()]


def test_the_first_clause_comes_at_the_first_comma() -> None:
    assert cut("Your order, number 12, has shipped. It arrives on Tuesday.") == [
        "Your order,",
        "number 12, has shipped.",
        "It arrives on Tuesday.",
    ]


def test_a_clause_is_yielded_before_the_end_of_the_text() -> None:
    cutter = ClauseSplitter()
    assert list(cutter.feed("That is right. And")) == ["That is right."]


def test_very_short_beginnings_wait() -> None:
    assert cut("Yes, I can do that for you.") == ["Yes, I can do that for you."]


def test_numbers_and_titles_are_not_cut() -> None:
    text = "It costs 3.50 or 1,200 in all says Dr. Who to me"
    assert cut(text) == [text]


def test_a_long_sentence_is_cut_at_a_comma() -> None:
    text = "One moment please. " + "word " * 16 + "here, and more words."
    assert len(cut(text)) == 3


@given(st.text("ab ,.!?;:1\n", max_size=200), st.integers(1, 7))
def test_nothing_is_lost_and_the_size_of_the_pieces_does_not_matter(
    text: str, size: int
) -> None:
    clauses = cut(text, size)
    assert " ".join(clauses).split() == text.split()
    assert all(clause == clause.strip() != "" for clause in clauses)
    assert clauses == cut(text, len(text) or 1)
