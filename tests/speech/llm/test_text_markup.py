from hypothesis import given
from hypothesis import strategies as st

from runner.speech.llm.text import MarkupFilter


def filtered(pieces: list[str]) -> str:
    markup = MarkupFilter()
    return "".join([*map(markup.feed, pieces), markup.finish()])


def test_reasoning_and_markup_are_removed() -> None:
    assert filtered(["<thi", "nk>hm, **so**</th", "ink>It is ", "**18** `deg`"]) == (
        "It is 18 deg"
    )


def test_a_character_that_only_starts_like_a_tag_stays() -> None:
    assert filtered(["1 <", " 2 and 3 <th"]) == "1 < 2 and 3 <th"


def test_unclosed_reasoning_is_never_spoken() -> None:
    assert filtered(["Hello. <think>secret"]) == "Hello. "


@given(st.text("<think>/ ab", max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_the_size_of_the_pieces_does_not_matter(text: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    assert filtered(pieces) == filtered([text])
