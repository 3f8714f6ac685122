"""What of the environment no line of a report may show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from runner.config.credentials import SECRET_NAME, find_credentials
from runner.hiding import Secrets
from runner.services import ASSEMBLYAI_KEY, OTHER_KEY

# Of what only its name makes a secret: shorter ones are switches and words.
_SHORTEST_GUESS = 8


def known_secrets(environment: Mapping[str, str]) -> Secrets:
    """Return a mask of the keys, what looks like one, and passwords of proxies."""
    secrets = Secrets()
    secrets.hide(frozenset(_secrets(environment)))
    return secrets


def _secrets(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        is_named = re.search(SECRET_NAME, name) and len(value) >= _SHORTEST_GUESS
        if is_named or name in (ASSEMBLYAI_KEY, OTHER_KEY):
            yield value
            yield value.strip()
        elif name.lower().endswith("_proxy") and (password := _password(value)):
            yield password
        for each in find_credentials(value):
            yield value[slice(*each.span)]


def _password(address: str) -> str | None:
    try:
        return urlsplit(address).password
    except ValueError:  # no address at all
        return None
