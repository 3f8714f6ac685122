"""Secrets kept out of what is shown: by value, wherever they turn up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

# A value of one to three characters stands in every second sentence: it is no secret,
# and masking it by value would only spoil the text.
SHORTEST = 4


class Masks:
    """Puts something else in the place of secrets; `secrets` are values and stand-ins.

    A value is found as it is, and as a URL spells it.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._stand_ins = {
            spelling: shown
            for secret, shown in secrets.items()
            if len(secret) >= SHORTEST
            for spelling in (quote(secret, safe=""), quote(secret), secret)
        }
        # The longest first, so that a secret within another leaves no rest of it.
        ordered = sorted(self._stand_ins, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered)))

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        if not self._stand_ins:
            return text
        return self._pattern.sub(lambda found: self._stand_ins[found[0]], text)

    def tree(self, value: Any, *, keys: bool = False) -> Any:
        """Return a value of JSON's data model without secrets.

        Keys are masked below `parameters`, where anybody may name them, or with `keys`;
        others are vagent's or the wire's own words. A number that is a secret becomes
        text.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {
                self.text(str(key)) if keys else str(key): self.tree(
                    each, keys=keys or key == "parameters"
                )
                for key, each in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.tree(each, keys=keys) for each in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._stand_ins.get(str(value), value)
        return value
