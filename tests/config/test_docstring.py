from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.config.docstring import Docstring, parse_docstring

GOOGLE = """Look up an order.

    It may be
    an old one.

    Args:
        order_id (str): Four digits,
            no blanks.
        region: Where it was placed.

    Returns:
        What is known: a mapping.
    """

NUMPY = """Look up an order.

    It may be
    an old one.

    Parameters
    ----------
    order_id : str
        Four digits,
        no blanks.
    region : str, optional
        Where it was placed.

    Returns
    -------
    dict
        What is known.
    """

SPHINX = """Look up an order.

    It may be
    an old one.

    :param str order_id: Four digits,
        no blanks.
    :param region: Where it was placed.
    :type region: str
    :returns: What is known.
    """


@pytest.mark.parametrize("text", [GOOGLE, NUMPY, SPHINX])
def test_the_three_styles_say_the_same(text: str) -> None:
    assert parse_docstring(text) == Docstring(
        "Look up an order.\n\nIt may be an old one.",
        {"order_id": "Four digits, no blanks.", "region": "Where it was placed."},
    )


def test_numpy_describes_several_parameters_at_once() -> None:
    text = "Add.\n\nParameters\n----------\na, b : int\n    A number.\n"

    assert parse_docstring(text).parameters == {"a": "A number.", "b": "A number."}


@pytest.mark.parametrize("text", [None, "", "  \n "])
def test_no_docstring_is_an_empty_description(text: str | None) -> None:
    assert parse_docstring(text) == Docstring()


def test_a_sentence_with_a_colon_is_description() -> None:
    assert parse_docstring("Note: this is slow.").description == "Note: this is slow."


def test_a_section_of_other_matters_is_left_out() -> None:
    text = "Do it.\n\nRaises:\n    ValueError: never.\n"

    assert parse_docstring(text) == Docstring("Do it.")


@settings(deadline=None)  # machines differ
@given(st.text())
def test_any_text_is_read(text: str) -> None:
    parse_docstring(text)
