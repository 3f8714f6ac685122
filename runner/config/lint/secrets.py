"""Finds secrets in plain text in an agent file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.config.credentials import SECRET_NAME, find_credentials, find_high_entropy
from runner.config.diagnostics import Place
from runner.config.files import Environment
from runner.config.interpolation import find_texts, policy
from runner.config.lint.references import read_prompt
from runner.config.source import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.config.lint.context import RuleContext
    from runner.config.model import AgentConfig
    from runner.config.yaml.nodes import Pointer


_MIN_SECRET_CHARS = 8  # of a value that its name makes a secret
_SCHEME = r"\s*(?:Bearer|Basic|Token|ApiKey|Key)\s+"
_QUERY = r"[?&]([^=&#]+)=([^&#${}]+)"


@dataclass(frozen=True, slots=True)
class SecretInText:
    """A secret in clear. `is_certain`: its format is published, nothing is guessed.

    `path` is the path of a guess in the file.
    """

    place: Place
    what: str
    is_certain: bool
    path: Pointer = ()


def find_leaks(inspection: RuleContext) -> list[SecretInText]:
    """Returns the secrets of an agent file and its prompt file, each once, in order."""
    found: dict[Span, SecretInText] = {}
    source = inspection.document.source
    for each in find_credentials(source.text):
        found.setdefault(
            each.span, SecretInText(Place(source, each.span), each.what, True)
        )
    for path, span, what in _copied(inspection):
        place = inspection.part(path, *span)
        found.setdefault(place.span, SecretInText(place, what, True))
    for path, start, end, what in _guesses(inspection):
        place = inspection.part(path, start, end)
        if not any(_overlap(place.span, span) for span in found):
            found[place.span] = SecretInText(place, what, False, path)
    leaks = [found[span] for span in sorted(found)]
    prompt = inspection.fact(read_prompt).source
    if prompt is not None:
        for each in find_credentials(prompt.text):
            leaks.append(SecretInText(Place(prompt, each.span), each.what, True))
        for span, what in _values_in(prompt.text, inspection.environment):
            leaks.append(SecretInText(Place(prompt, span), what, True))
    return leaks


def _copied(inspection: RuleContext) -> Iterator[tuple[Pointer, Span, str]]:
    """Yields values of `.env` in texts that are spoken or sent to the model."""
    for path, text in find_texts(inspection.document.value):
        if policy(path) == "text" and inspection.is_valid(path):
            for span, what in _values_in(text, inspection.environment):
                yield path, span, what


def _values_in(text: str, environment: Mapping[str, str]) -> Iterator[tuple[Span, str]]:
    in_file = environment.in_file if isinstance(environment, Environment) else {}
    for name, value in in_file.items():
        is_named = len(value) >= _MIN_SECRET_CHARS and re.search(SECRET_NAME, name)
        if is_named or _looks_chosen(value):
            start = text.find(value)
            while start >= 0:
                end = start + len(value)
                yield Span(start, end), f"the value of `{name}` in .env"
                start = text.find(value, end)


def _guesses(inspection: RuleContext) -> Iterator[tuple[Pointer, int, int, str]]:
    for path, text in _texts(inspection.document.value, ()):
        if "${" in text:
            continue
        if _is_named_secret(path):
            scheme = re.match(_SCHEME, text)
            start = scheme.end() if scheme else 0
            if _looks_chosen(text[start:]):
                what = f"the value of `{_name(path)}`"
                yield path, start, len(text.rstrip()), what
                continue
        if path[-1] == "url":
            for found in re.finditer(_QUERY, text):
                if re.search(SECRET_NAME, found[1]) and _looks_chosen(found[2]):
                    yield path, *found.span(2), f"`{found[1]}` in the URL"
        for span in find_high_entropy(text):
            yield path, *span, "a long text of mixed letters and digits"


def _texts(value: Any, path: Pointer) -> Iterator[tuple[Pointer, str]]:
    """Yields the texts and whole numbers below `value`, except in JSON Schemas."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, int):
        yield path, str(value)  # wrong there, and a message would show it
    elif isinstance(value, dict):
        for key, each in value.items():
            if not (path[:1] == ("tools",) and len(path) == 2 and key == "parameters"):
                yield from _texts(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _texts(each, (*path, index))


def _name(path: Pointer) -> str | int:
    """Returns the name of a value: its key, or the variable of a default."""
    return path[1] if path[0] == "variables" and len(path) > 1 else path[-1]


def _is_named_secret(path: Pointer) -> bool:
    if path[-1] == "description":
        return False
    name = _name(path)
    is_llm_key = path == ("local", "llm", "key")
    return is_llm_key or bool(re.search(SECRET_NAME, str(name)))


def _looks_chosen(text: str) -> bool:
    """True if a value could be a secret: one word, long enough, not only letters."""
    text = text.strip()
    if len(text) < _MIN_SECRET_CHARS or re.search(r"\s", text):
        return False
    return not text.isalpha() and "://" not in text


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


# The secret values of a loaded agent.


# Headers whose values are always secret, in addition to those with a telling name.
_SECRET_HEADERS = frozenset({"cookie", "proxy-authorization"})
_AUTH_SCHEME = re.compile(r"\s*(?:Bearer|Basic|Token|ApiKey|Key)\s+", re.IGNORECASE)


def agent_secrets(agent: AgentConfig) -> frozenset[str]:
    """Returns what came from the environment, keys, and what telling headers hold."""
    found = {*agent.secrets, *_in_headers(agent), *credentials_in(agent.prompt)}
    if agent.local.llm.key:
        found.add(agent.local.llm.key)
    return frozenset(found)


def credentials_in(text: str) -> Iterator[str]:
    """Yields what has the published format of a key."""
    for each in find_credentials(text):
        yield text[each.span.start : each.span.end]


def _in_headers(agent: AgentConfig) -> Iterator[str]:
    for tool in agent.tools:
        settings = tool.settings if isinstance(tool.settings, dict) else {}
        headers = settings.get("headers")
        for name, value in (headers if isinstance(headers, dict) else {}).items():
            if name.lower() in _SECRET_HEADERS or re.search(SECRET_NAME, name):
                yield str(value)
                yield _AUTH_SCHEME.sub("", str(value), count=1)
