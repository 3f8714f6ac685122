"""Finds keys and tokens in plain text by published formats and by entropy.

All findings about the line of a secret mask the secret.
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

# Formats that issuers publish so that leaked keys can be found. The first group of each
# is the secret part.
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
# Checked first, because most files have none of them.
_PREFIXES = (
    "sk-", "k_live_", "k_test_", "AKIA", "ASIA", "AIza", "gh", "glpat-", "xox", "SK",
    "SG.", "npm_", "hf_", "gsk_", "eyJ", "PRIVATE KEY",
)  # fmt: skip
# Placeholders in documentation.
_EXAMPLES = r"(?i)example|x{6,}|\*{3,}|0{8,}|1234567890|your[_-]"

# Names of fields, headers and parameters that hold a secret.
SECRET_NAME = (
    r"(?i)(?:^|[_\-.])(?:api[_-]?key|apikey|auth|authorization|token|secret|passw(?:or)?d"
    r"|password|credential|private[_-]?key|access[_-]?key|subscription[_-]?key)"
    r"(?:$|[_\-.])"
)
# Shorter values of variables with a secret name are flags and words.
_MIN_NAMED_LENGTH = 8
_TOKEN = r"[A-Za-z0-9+/=_\-]{32,}"
# Bits per character. Hexadecimal digests have at most 4.0, words about 3.5; keys of
# mixed letters and digits of this length 4.5 and more.
_MIN_ENTROPY = 4.35
# Characters at the start of a secret that identify it in a truncated text.
_MIN_PREFIX = 6


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret in plain text; `span` is the part that must not be shown."""

    span: Span
    what: str


def find_credentials(text: str) -> Iterator[Credential]:
    """Yields texts with the published format of a key, in the order of the formats."""
    if not any(hint in text for hint in _PREFIXES):
        return
    for what, pattern in _FORMATS.items():
        for found in re.finditer(pattern, text):
            if not re.search(_EXAMPLES, found[0]):
                yield Credential(Span(*found.span(1)), what)


def find_environment_secrets(
    environment: Mapping[str, str], always: Container[str] = ()
) -> Iterator[tuple[str, str]]:
    """Yields the name and value of each secret in the environment.

    These are the variables in `always`, variables with a secret name, passwords of
    proxies, and values with the published format of a key.
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
    """Yields long tokens of mixed letters and digits that look random."""
    for found in re.finditer(_TOKEN, text):
        token = found[0]
        kinds = (str.isupper, str.islower, str.isdigit)
        is_mixed = all(any(kind(each) for each in token) for kind in kinds)
        if (
            is_mixed
            and entropy(token) >= _MIN_ENTROPY
            and not re.search(_EXAMPLES, token)
        ):
            yield Span(*found.span())


def entropy(text: str) -> float:
    """Returns the Shannon entropy of a text in bits per character."""
    total = len(text)
    counts = Counter(text).values()
    return -sum(n / total * math.log2(n / total) for n in counts)


def mask_credentials(
    findings: Iterable[Diagnostic], source: Source, spans: Iterable[Span]
) -> list[Diagnostic]:
    """Returns the findings with the text of `spans` masked."""
    secrets = sorted({source.text[slice(*span)] for span in spans}, key=len)[::-1]
    return [_masked(each, secrets) for each in findings] if secrets else [*findings]


def _masked(found: Diagnostic, secrets: list[str]) -> Diagnostic:
    return replace(
        found,
        message=mask_secrets(found.message, secrets),
        help=mask_secrets(found.help, secrets) if found.help else None,
        excerpt=mask_secrets(found.excerpt, secrets),
    )


def mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """Mask each secret in a text, also where a message has truncated it."""
    for secret in secrets:
        at = text.find(secret[:_MIN_PREFIX])
        while at >= 0:
            end = at
            while end < len(text) and text[at : end + 1] == secret[: end + 1 - at]:
                end += 1
            text = text[:at] + MASK * (end - at) + text[end:]
            at = text.find(secret[:_MIN_PREFIX], end)
    return text
