"""Mutation of text, bytes and JSON, deterministic by seed."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

# Texts that have broken parsers before.
TOKENS = [
    *("null", "true", "NaN", "-Infinity", "1e400", "-0", "1e-400", "9" * 5_000),
    *('"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', "\ufeff", "\ud800", "\u2028"),
    *("[" * 50, "[" * 2_000, '{"a":' * 50, '{"a":' * 2_000, "]", "}", '"', ",", "\\"),
    *('{"type":"session.update"}', '"type":', '"code":"x"', "A" * 3_000, "é", "😀"),
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 2**63, 10**400, 0.5, 1e308, float("nan"), float("inf")),
    *("", "x", "\ud800", "\0", "x" * 5_000, "[]", "{}", '{"a":1}', "=", "AAA", "AAAA"),
    *([], {}, [[]], [None], {"": None}, {"a": {"a": {}}}, ["x"] * 200, "audio/pcmu"),
]


def nested(depth: int, *, in_lists: bool) -> Any:
    """Returns an empty list nested `depth` levels deep."""
    value: Any = []
    for _ in range(depth):
        value = [value] if in_lists else {"a": value}
    return value


class Mutilator:
    """Mutates inputs; owned by one run."""

    def __init__(self, seed: int, tokens: Sequence[str] = TOKENS) -> None:
        self.random = random.Random(seed)
        self._tokens = tokens

    def text(self, text: str, others: Sequence[str]) -> str:
        """Mutates a text in a few places, also with parts of others."""
        for _ in range(self.random.choice((1, 1, 1, 2, 3, 8))):
            text = self._once(text, others)
        return text

    def _once(self, text: str, others: Sequence[str]) -> str:
        rand = self.random
        start = rand.randint(0, len(text))
        end = min(len(text), start + rand.choice((1, 1, 2, 5, 20, 200)))
        match rand.randrange(7):
            case 0:
                piece = ""
            case 1:
                piece = text[start:end] * rand.choice((2, 3, 30))
            case 2:
                piece = rand.choice(self._tokens)
            case 3:
                piece = text[start:end] + rand.choice(self._tokens)
            case 4:
                piece = chr(rand.choice((rand.randrange(128), rand.randrange(0x3000))))
            case 5:
                other = rand.choice(others)
                at = rand.randint(0, len(other))
                piece = other[at : at + rand.choice((1, 10, 100))]
            case _:
                piece = "".join(rand.sample(text[start:end], end - start))
        return text[:start] + piece + text[end:]

    def bytes(self, length: int) -> bytes:
        """Returns random bytes."""
        return self.random.randbytes(self.random.randint(0, length))

    def json(self, text: str) -> str:
        """Mutates values, keys and depth of a JSON text; it usually stays JSON."""
        tree = json.loads(text)
        for _ in range(self.random.choice((1, 1, 2, 4))):
            tree = self._spoil(tree, is_root=True)
        try:
            return json.dumps(tree, ensure_ascii=self.random.random() < 0.7)
        except RecursionError:
            return '{"a":' * 3_000

    def _spoil(self, tree: Any, *, is_root: bool = False) -> Any:
        rand = self.random
        if isinstance(tree, dict) and tree and (is_root or rand.random() < 0.8):
            key = rand.choice(list(tree))
            match rand.randrange(8):
                case 0:
                    return {k: v for k, v in tree.items() if k != key}
                case 1:
                    return {**tree, rand.choice(("a", "\ud800", "type", "")): tree[key]}
                case _:
                    return {**tree, key: self._spoil(tree[key])}
        if isinstance(tree, list) and tree and rand.random() < 0.8:
            at = rand.randrange(len(tree))
            return [*tree[:at], self._spoil(tree[at]), *tree[at + 1 :]]
        if rand.random() < 0.05:
            depth = rand.choice((30, 300, 500, 700, 900, 950, 980))
            return nested(depth, in_lists=rand.random() < 0.5)
        return rand.choice(VALUES)
