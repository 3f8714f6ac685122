from __future__ import annotations

import base64
import html
import json
import threading
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.redaction import (
    MIN_SECRET_LENGTH,
    REDACTED,
    Redactor,
    find_password,
    map_texts,
    strip_credentials,
)

Spell = Callable[[str], str]

# All characters, without secrets that `***` and its neighbors could form again.
SECRETS = st.text(
    st.characters(exclude_characters="*", exclude_categories=["Cs"]),
    min_size=MIN_SECRET_LENGTH,
    max_size=20,
).filter(lambda text: len(text.strip()) >= MIN_SECRET_LENGTH)


def json_text(text: str) -> str:
    return json.dumps(text)[1:-1]


def json_wide(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def quote_all(text: str) -> str:
    return quote(text, safe="")


ONE_LEVEL: list[Spell] = [
    str,
    quote,
    quote_all,
    quote_plus,
    json_text,
    json_wide,
    lambda text: json_text(text).replace("/", r"\/"),
    lambda text: repr(text)[1:-1],
    lambda text: repr(text.encode())[2:-1],
    html.escape,
]


@st.composite
def spellings(draw: st.DrawFn, secret: str) -> str:
    """Draws an encoding of a secret, nested up to three levels."""
    spelled = draw(st.sampled_from(ONE_LEVEL))(secret)
    if spelled in (secret, json_text(secret), json_wide(secret)):
        for each in draw(st.lists(st.sampled_from([json_text, json_wide]), max_size=2)):
            spelled = each(spelled)
    return spelled


@given(st.data(), SECRETS)
def test_no_spelling_of_a_secret_is_left(data: st.DataObject, secret: str) -> None:
    spelled = data.draw(spellings(secret.strip()))

    assert Redactor([secret]).text(f"<{spelled}>") == f"<{REDACTED}>"


@given(SECRETS, st.text(), st.text())
def test_no_secret_is_left_in_any_text(secret: str, before: str, after: str) -> None:
    text = Redactor([secret]).text(f"{before}{secret}{after}")

    assert secret.strip() not in text


@given(SECRETS, st.binary(max_size=5), st.binary(max_size=5))
def test_no_secret_is_left_within_base64(
    secret: str, before: bytes, after: bytes
) -> None:
    data = before + secret.strip().encode() + after
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = Redactor([secret]).text(encode(data).decode())

        assert REDACTED in text
        # A character at each end may hold bits of the secret and of its neighbor.
        assert len(text) <= len(REDACTED) + 4 * (len(before) + len(after)) // 3 + 8


@given(
    st.lists(st.text("xyz0/%\\+ä ", min_size=6, max_size=12)),
    st.text("abc \\\"'/%+&;\n.ÄÖ"),
)
def test_a_text_without_secrets_is_unchanged(secrets: list[str], text: str) -> None:
    marked = [f"x{each}y" for each in secrets]  # letters that no text here has

    assert Redactor(marked).text(text) == text


@given(st.lists(SECRETS, max_size=4), st.data())
def test_redacting_twice_changes_nothing(
    secrets: list[str], data: st.DataObject
) -> None:
    pieces = (
        st.text() if not secrets else st.one_of(st.text(), st.sampled_from(secrets))
    )
    # The separator occurs in no secret, so that redaction does not form new ones.
    text = "*".join(data.draw(st.lists(pieces)))
    redact = Redactor(secrets).text

    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("scheme", ["http", "wss", "socks5"])
def test_the_password_of_an_address_is_a_secret_by_itself(scheme: str) -> None:
    redactor = Redactor([f"{scheme}://jane:p%40ssw0rd@example.com/x"])

    assert redactor.text("jane p@ssw0rd p%40ssw0rd") == "jane *** ***"


def test_what_is_not_an_address_has_no_password() -> None:
    assert find_password("http://[::1") is None
    assert find_password("word") is None
    assert find_password("http://example.com") is None


def test_a_url_is_shown_without_what_may_be_secret() -> None:
    url = "wss://jane:s3cret@example.com:8443/v1/ws?token=abc#key"

    assert strip_credentials(url) == "wss://example.com:8443/v1/ws"


def test_short_values_are_not_redacted() -> None:
    assert Redactor(["12345", "", "  12345  "]).text("12345  12345  ") == (
        "12345  12345  "
    )


def test_spaces_around_a_secret_are_not_part_of_it() -> None:
    assert Redactor([" hunter22\n"]).text("it is hunter22.") == "it is ***."


def test_a_secret_that_contains_another_is_redacted_as_a_whole() -> None:
    redactor = Redactor()
    redactor.add(["abcdef"], "1")
    redactor.add(["abcdefgh"], "2")

    assert redactor.text("abcdefgh abcdef") == "2 1"


def test_what_is_added_is_redacted_from_then_on() -> None:
    redactor = Redactor(["secret-1"])
    assert redactor.text("secret-1 secret-2") == "*** secret-2"

    redactor.add(["secret-2"], "${env:TWO}")

    assert redactor.text("secret-1 secret-2") == "*** ${env:TWO}"


def test_secrets_are_added_from_several_threads() -> None:
    redactor = Redactor()
    secrets = [f"secret-{number:02}" for number in range(40)]
    threads = [threading.Thread(target=redactor.add, args=([s],)) for s in secrets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert redactor.text(" ".join(secrets)) == " ".join(["***"] * 40)


def test_a_tree_is_redacted_with_its_keys_and_numbers() -> None:
    tree = {"hunter22": ["hunter22", (123456, 12345)], "n": [True, None, 1.5]}

    assert Redactor(["hunter22", "123456", "True"]).tree(tree) == {
        "***": ["***", ["***", 12345]],
        "n": [True, None, 1.5],
    }


def test_keys_that_authors_do_not_choose_may_be_kept() -> None:
    redactor = Redactor(["description"])
    tree = {"description": 1, "parameters": {"properties": {"description": 2}}}

    assert redactor.tree(tree, keys=False) == {
        "description": 1,
        "parameters": {"properties": {"***": 2}},
    }


def test_a_resume_token_is_a_secret_whatever_it_is() -> None:
    assert Redactor().tree({"resume_token": "x", "deep": [{"resume_token": ""}]}) == {
        "resume_token": "***",
        "deep": [{"resume_token": ""}],
    }


def test_texts_of_a_tree_are_changed_one_by_one() -> None:
    assert map_texts({"a": ["b", 1]}, str.upper) == {"A": ["B", 1]}


def test_a_long_text_of_backslashes_does_not_take_long_to_search() -> None:
    """Each position is visited a bounded number of times."""
    redactor = Redactor(["/\\k\\ey//", "\\\\abcd/\\"])
    text = "\\" * 200_000

    assert redactor.text(text) == text


@given(SECRETS)
def test_a_secret_in_hexadecimal_is_redacted(secret: str) -> None:
    spelled = secret.strip().encode().hex()
    redact = Redactor([secret]).text

    assert redact(f"<{spelled}> <{spelled.upper()}>") == "<***> <***>"


@pytest.mark.parametrize(
    "spelled",
    ["p&#64;ss&#x2f;w&#x2D;1&#39;", "p&#064;ss&#X2F;w&#45;1&apos;", "p@ss/w-1&#x27;"],
)
def test_a_secret_with_character_references_is_redacted(spelled: str) -> None:
    assert Redactor(["p@ss/w-1'"]).text(f"<{spelled}>") == "<***>"
