"""Keys and tokens that stand in a text in clear, found by shape and by disorder.

What is found is never shown: findings about its line have it masked, whatever they are
about.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.config.source import Span
from runner.redaction import find_password

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from runner.config.diagnostics import Diagnostic
    from runner.config.source import Source

MASK = "•"

# Formats that issuers publish, so that leaked keys can be found. The first group of
# each is the part that is secret.
_FORMATS = {
    "an OpenAI or Anthropic key": r"\bsk-(?:proj-|ant-|svcacct-)?([A-Za-z0-9_-]{20,})",
    "a Stripe key": r"\b[rs]k_(?:live|test)_([A-Za-z0-9]{16,})",
    "an AWS access key": r"\b(?:AKIA|ASIA)([0-9A-Z]{16})\b",
    "a Google API key": r"\bAIza([0-9A-Za-z_-]{35})",
    "a GitHub token": r"\b(?:gh[pousr]_|github_pat_)([A-Za-z0-9_]{22,})",
    "a GitLab token": r"\bglpat-([A-Za-z0-9_-]{20,})",
    "a Slack token": r"\bxox[abposr]-([A-Za-z0-9-]{10,})",
    "a Twilio key": r"\bSK([0-9a-f]{32})\b",
    "a SendGrid key": r"\bSG\.([A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})",
    "an npm token": r"\bnpm_([A-Za-z0-9]{36})\b",
    "a Hugging Face token": r"\bhf_([A-Za-z0-9]{30,})",
    "a Groq key": r"\bgsk_([A-Za-z0-9]{40,})",
    "a JSON web token": r"\b(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[\w-]{10,})",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*(PRIVATE KEY)-----",
}
# Cheap to look for first: most files have none of them.
_HINTS = (
    "sk-", "k_live_", "k_test_", "AKIA", "ASIA", "AIza", "gh", "glpat-", "xox", "SK",
    "SG.", "npm_", "hf_", "gsk_", "eyJ", "PRIVATE KEY",
)  # fmt: skip
# In the examples of manuals.
_EXAMPLES = r"(?i)example|x{6,}|\*{3,}|0{8,}|1234567890|your[_-]"

# What a field, a header or a parameter is called that holds a secret.
SECRET_NAME = (
    r"(?i)(?:^|[_\-.])(?:api[_-]?key|apikey|auth|authorization|token|secret|passw(?:or)?d"
    r"|password|credential|private[_-]?key|access[_-]?key|subscription[_-]?key)"
    r"(?:$|[_\-.])"
)
# Shorter values of variables that are named like secrets are switches and words.
_MIN_NAMED_LENGTH = 8
_TOKEN = r"[A-Za-z0-9+/=_\-]{32,}"
# Bits per character. Hexadecimal digests have at most 4.0, words about 3.5; keys of
# mixed letters and digits of this length 4.5 and more.
_DISORDER = 4.35
# So much of a secret's beginning tells that it is meant.
_KNOWN = 6


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret in clear; `span` are the characters that must not be shown."""

    span: Span
    what: str


def find_credentials(text: str) -> Iterator[Credential]:
    """Yield what has the published format of a key, in the order of the formats."""
    if not any(hint in text for hint in _HINTS):
        return
    for what, pattern in _FORMATS.items():
        for found in re.finditer(pattern, text):
            if not re.search(_EXAMPLES, found[0]):
                yield Credential(Span(*found.span(1)), what)


def find_environment_secrets(
    environment: Mapping[str, str], always: Container[str] = ()
) -> Iterator[tuple[str, str]]:
    """Yield the name and value of each secret in the environment.

    These are the variables in `always`, those whose name says so, the passwords of
    proxies, and what has the published format of a key.
    """
    for name, value in environment.items():
        is_named = re.search(SECRET_NAME, name) and len(value) >= _MIN_NAMED_LENGTH
        if name in always or is_named:
            yield name, value
        elif name.lower().endswith("_proxy") and (password := find_password(value)):
            yield name, password
        for each in find_credentials(value):
            yield name, value[slice(*each.span)]


def find_high_entropy(text: str) -> Iterator[Span]:
    """Yield long tokens of mixed letters and digits that look drawn by lot."""
    for found in re.finditer(_TOKEN, text):
        token = found[0]
        kinds = (str.isupper, str.islower, str.isdigit)
        is_mixed = all(any(kind(each) for each in token) for kind in kinds)
        if is_mixed and entropy(token) >= _DISORDER and not re.search(_EXAMPLES, token):
            yield Span(*found.span())


def entropy(text: str) -> float:
    """Return Shannon's entropy of the characters of a text, in bits per character."""
    total = len(text)
    counts = Counter(text).values()
    return -sum(n / total * math.log2(n / total) for n in counts)


def mask_credentials(
    findings: Iterable[Diagnostic], source: Source, spans: Iterable[Span]
) -> list[Diagnostic]:
    """Return the findings with the characters of `spans` masked wherever they show."""
    secrets = sorted({source.text[slice(*span)] for span in spans}, key=len)[::-1]
    return [_masked(each, secrets) for each in findings] if secrets else [*findings]


def _masked(found: Diagnostic, secrets: list[str]) -> Diagnostic:
    return replace(
        found,
        message=hide(found.message, secrets),
        help=hide(found.help, secrets) if found.help else None,
        excerpt=hide(found.excerpt, secrets),
    )


def hide(text: str, secrets: Iterable[str]) -> str:
    """Mask each secret in a text, also where a message has cut it short."""
    for secret in secrets:
        at = text.find(secret[:_KNOWN])
        while at >= 0:
            end = at
            while end < len(text) and text[at : end + 1] == secret[: end + 1 - at]:
                end += 1
            text = text[:at] + MASK * (end - at) + text[end:]
            at = text.find(secret[:_KNOWN], end)
    return text
