from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.config.masks import SHORTEST, Masks


def test_a_secret_is_hidden_as_it_is_and_as_a_url_spells_it() -> None:
    masks = Masks({"p&ss/word": "••••"})
    assert masks.text("key=p%26ss%2Fword, p%26ss/word, p&ss/word") == (
        "key=••••, ••••, ••••"
    )


def test_a_secret_within_another_leaves_no_rest_of_it() -> None:
    assert Masks({"abcd": "1", "abcdefgh": "2"}).text("abcdefgh abcd") == "2 1"


def test_short_values_are_let_be() -> None:
    assert Masks({"abc": "x", "": "y"}).text("abcdef") == "abcdef"


def test_keys_are_hidden_where_anybody_may_name_them_and_only_there() -> None:
    masks = Masks({"name": "x", "parameters": "y"})
    tree = {"name": "name", "parameters": {"properties": {"name": {"name": 1}}}}
    assert masks.tree(tree) == {
        "name": "x",
        "parameters": {"properties": {"x": {"x": 1}}},
    }


def test_numbers_that_are_secrets_are_hidden_and_truth_is_not() -> None:
    masks = Masks({"1234": "pin", "True": "t"})
    assert masks.tree([1234, 12345, True, None]) == ["pin", 12345, True, None]


@given(st.text(min_size=SHORTEST), st.text(), st.text())
def test_no_secret_is_left_in_a_text(secret: str, before: str, after: str) -> None:
    assert secret not in Masks({secret: ""}).text(f"{before}\0{secret}\0{after}") or (
        secret in f"{before}\0\0{after}"
    )
