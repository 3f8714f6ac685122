"""Call tokens: what is accepted, and that nothing else is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.hosting.tokens import (
    CallToken,
    TokenRefused,
    UsedTokens,
    mint,
    read_token_key,
    verify,
)
from tests.docs.test_pages import read_blocks

ROOT = Path(__file__).parents[2]
KEY = b"0123456789abcdef0123456789abcdef"
NOW = 1_790_000_000.0


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(payload: Any, key: bytes = KEY) -> str:
    text = encoded(json.dumps(payload).encode())
    return f"{text}.{encoded(hmac.digest(key, text.encode(), hashlib.sha256))}"


PAYLOAD = {"v": 1, "agent": "a", "sub": "u", "exp": NOW + 60, "nonce": "n1"}


def test_a_token_has_what_was_put_into_it() -> None:
    token = mint(
        KEY, "support", "user42", now=NOW, max_duration=90, variables={"name": "Ada"}
    )
    found = verify(KEY, token, NOW + 59)
    assert isinstance(found, CallToken)
    assert (found.agent_id, found.subject) == ("support", "user42")
    assert (found.max_duration, found.variables) == (90.0, {"name": "Ada"})


def test_two_tokens_are_never_equal() -> None:
    assert mint(KEY, "a", "u", now=NOW) != mint(KEY, "a", "u", now=NOW)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("", "token_invalid"),
        ("x", "token_invalid"),
        (".", "token_invalid"),
        ("é.é", "token_invalid"),
        ("a" * 5_000 + ".b", "token_invalid"),
        (signed(PAYLOAD, b"another key of 16 bytes"), "token_invalid"),
        (signed({**PAYLOAD, "exp": NOW}), "token_expired"),
        (signed({**PAYLOAD, "exp": NOW + 3_600}), "token_invalid"),
        (signed({**PAYLOAD, "exp": "soon"}), "token_invalid"),
        (signed({**PAYLOAD, "exp": True}), "token_invalid"),
        (signed({**PAYLOAD, "v": 2}), "token_invalid"),
        (signed({**PAYLOAD, "nonce": ""}), "token_invalid"),
        (signed({**PAYLOAD, "vars": ["a"]}), "token_invalid"),
        (signed({**PAYLOAD, "vars": {"a": 1}}), "token_invalid"),
        (signed({**PAYLOAD, "max_duration": -1}), "token_invalid"),
        (signed({**PAYLOAD, "agent": None}), "token_invalid"),
        (signed([]), "token_invalid"),
        (signed("text"), "token_invalid"),
    ],
)
def test_other_tokens_are_refused_with_a_code(token: str, code: str) -> None:
    refused = verify(KEY, token, NOW)
    assert isinstance(refused, TokenRefused)
    assert refused.code == code
    assert refused.message


@given(st.integers(0, 400), st.characters(max_codepoint=127))
def test_a_changed_character_is_always_noticed(at: int, character: str) -> None:
    token = signed(PAYLOAD)
    at %= len(token)
    changed = token[:at] + character + token[at + 1 :]
    accepted = isinstance(verify(KEY, changed, NOW), CallToken)
    assert accepted == (changed == token)


@given(st.text(max_size=200))
def test_no_text_is_an_error(token: str) -> None:
    assert isinstance(verify(KEY, token, NOW), TokenRefused)


def test_a_token_is_used_once_and_forgotten_when_it_expires() -> None:
    used = UsedTokens()
    token = verify(KEY, signed(PAYLOAD), NOW)
    assert isinstance(token, CallToken)
    assert used.redeem(token, NOW)
    assert not used.redeem(token, NOW)
    assert len(used) == 1


@pytest.mark.parametrize("ttl", [0, -1, 601, 0.5])
def test_a_token_lives_1_to_600_seconds(ttl: float) -> None:
    with pytest.raises(ValueError, match="1 to 600 s"):
        mint(KEY, "a", "u", now=NOW, ttl=ttl)


@pytest.mark.parametrize(
    "values",
    [
        {"variables": {"a": "x" * 5_000}},
        {"max_duration": -1.0},
        {"max_duration": 0.0},
        {"variables": {"a": "\ud800"}},
    ],
)
def test_what_would_be_refused_is_not_made(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        mint(KEY, "a", "u", now=NOW, **values)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes"):
        mint(b"short", "a", "u", now=NOW)
    with pytest.raises(UsageError, match="VAGENT_TOKEN_KEY is shorter"):
        read_token_key({"VAGENT_TOKEN_KEY": "short"})
    assert read_token_key({}) is None
    assert read_token_key({"VAGENT_TOKEN_KEY": KEY.decode()}) == KEY


@pytest.mark.parametrize("program", ["python3", "node"])
def test_the_documented_recipes_make_valid_tokens(program: str, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    blocks = read_blocks(ROOT / "docs" / "how-to" / "serve-agents.md")
    title = {"python3": "mint.py", "node": "mint.mjs"}[program]
    (text,) = (each.text for each in blocks if each.title == title)
    if program == "node":
        text += f'console.log(mint("{KEY.decode()}", "support", "user42"));\n'
    (tmp_path / title).write_text(text, "utf-8")
    done = subprocess.run(
        [program, tmp_path / title], capture_output=True, text=True, check=True
    )
    made = done.stdout.strip()
    payload = json.loads(base64.urlsafe_b64decode(made.partition(".")[0] + "=="))
    found = verify(KEY, made, payload["exp"] - 30)
    assert isinstance(found, CallToken)
    assert (found.agent_id, found.subject) == ("support", "user42")
