"""Redaction of secrets by value, in every encoding in which a text may contain them."""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

REDACTED = "***"
# Shorter values are words and numbers that occur in calls (`1234`, `prod`): redacting
# them would damage tool results and transcripts. A given number of six digits occurs by
# chance once in a million.
MIN_SECRET_LENGTH = 6  # characters

# Keys of the wire whose values are always secret: the token resumes a session.
_SECRET_KEYS = frozenset({"resume_token"})

# JSON text within JSON text doubles backslashes: 1, 2, 4, 8 before a letter, and 1, 3,
# 7 before a quotation mark. The bounds keep the search linear in the text's length.
_ESCAPE = r"\\{1,8}"
_ESCAPED = r"\\{0,7}"
_MAX_ESCAPED_LENGTH = 8
_LETTERS = {"\b": "b", "\t": "t", "\n": "n", "\f": "f", "\r": "r"}
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}


class Redactor:
    """Replaces secrets in texts; secrets can be added at any time, from any thread.

    A secret is found raw, percent-encoded, escaped as in JSON, Python or HTML (also
    several times), in hexadecimal, and within base64. Secrets shorter than
    `MIN_SECRET_LENGTH` without the whitespace around them are not redacted. If a secret
    is a URL with a password, the password alone is redacted, too.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._adding = Lock()
        self._shown: dict[str, str] = {}
        self._search: tuple[re.Pattern[str], list[str]] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str], shown: str = REDACTED) -> None:
        """Redacts these from now on; `shown` replaces them."""
        with self._adding:
            known = dict(self._shown)
            for secret in secrets:
                for each in (secret, find_password(secret) or ""):
                    value = each.strip()
                    if len(value) >= MIN_SECRET_LENGTH:
                        self._shown[value] = shown
            if self._shown != known:
                self._search = _compile(self._shown)

    def copy(self) -> Redactor:
        """Returns a redactor with the same secrets, to which others can be added."""
        new = Redactor()
        with self._adding:
            new._shown, new._search = dict(self._shown), self._search
        return new

    def text(self, text: str) -> str:
        """Returns a text without secrets."""
        if self._search is None:
            return text
        pattern, shown = self._search
        return pattern.sub(lambda found: shown[(found.lastindex or 1) - 1], text)

    def tree(self, value: Any, *, keys: bool = True) -> Any:
        """Returns a value of JSON's data model without secrets; see `map_texts`."""
        return map_texts(value, self.text, keys=keys)


def map_texts(value: Any, change: Callable[[str], str], *, keys: bool = True) -> Any:
    """Returns a value of JSON's data model with `change` applied to every text.

    A number whose text changes becomes that text. Keys are changed too; if `keys` is
    false, only keys below `parameters`, where authors choose them.
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {
            change(str(key)) if keys else str(key): REDACTED
            if key in _SECRET_KEYS and each
            else map_texts(each, change, keys=keys or key == "parameters")
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [map_texts(each, change, keys=keys) for each in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = str(value)
        changed = change(text)
        return value if changed == text else changed
    return value


def find_password(address: str) -> str | None:
    """Returns the password in a URL, or None."""
    if "://" not in address:
        return None
    try:
        password = urlsplit(address.strip()).password
    except ValueError:  # not a URL
        return None
    return password and unquote(password)


def strip_credentials(url: str) -> str:
    """Returns a URL without user, password, query and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _compile(shown: dict[str, str]) -> tuple[re.Pattern[str], list[str]]:
    """Returns a pattern with one group for each spelling, and their replacements."""
    # Longest first: a secret that contains another one is replaced as a whole.
    ordered = sorted(shown, key=len, reverse=True)
    spelled = [
        (each, shown[secret]) for secret in ordered for each in _spellings(secret)
    ]
    # The empty group comes last: `re` is five times as fast with a literal in front.
    pattern = "|".join(f"{spelling}()" for spelling, _ in spelled)
    return re.compile(pattern), [each for _, each in spelled]


def _spellings(secret: str) -> Iterator[str]:
    """Yields patterns for a text itself, in hexadecimal, and within base64."""
    runs = re.findall(r"\\+|[^\\]", secret)
    yield "".join(_backslashes(run) if run[0] == "\\" else _char(run) for run in runs)
    data = secret.encode("utf-8", "surrogatepass")
    yield data.hex()
    yield data.hex().upper()
    # A character of base64 holds six bits. The bytes before the secret shift it by 0, 1
    # or 2 bytes; characters that also hold bits of its neighbors are left out.
    for offset in range(3):
        spelled = b2a_base64(bytes(offset) + data, newline=False).decode().rstrip("=")
        first = (offset * 8 + 5) // 6
        end = (offset + len(data)) * 8 // 6
        yield "".join(map(_base64_char, spelled[first:end]))


def _base64_char(char: str) -> str:
    url_safe = {"+": "-", "/": "_"}.get(char)
    return f"(?:{url_safe}|{_char(char)})" if url_safe else char


def _char(char: str) -> str:
    """Returns a pattern for a character other than a backslash, raw or escaped."""
    if char.isascii() and char.isalnum():
        return char
    data = char.encode("utf-8", "surrogatepass")
    units = char.encode("utf-16-be", "surrogatepass").hex(" ", 2).split()
    choices = [
        _ESCAPED + re.escape(char),
        "".join(f"%(?:25){{0,3}}(?i:{byte:02x})" for byte in data),
        "".join(f"{_ESCAPE}x(?i:{byte:02x})" for byte in data),
        "".join(f"{_ESCAPE}u(?i:{unit})" for unit in units),
        f"{_ESCAPE}U(?i:{ord(char):08x})",
    ]
    if "\x7f" < char < "\u0100":
        choices.append(f"{_ESCAPE}x(?i:{ord(char):02x})")
    if char in _LETTERS:
        choices.append(_ESCAPE + _LETTERS[char])
    if char == " ":
        choices.append(r"\+")
    choices.append(f"&#(?:0*{ord(char)}|[xX]0*(?i:{ord(char):x}));")
    if char in _ENTITIES:
        choices.append(f"&{_ENTITIES[char]};")
    return f"(?:{'|'.join(choices)})"


def _backslashes(run: str) -> str:
    """Returns a pattern for one or more backslashes, raw or escaped."""
    count = len(run)
    percent = f"(?:%(?:25){{0,3}}(?i:5c)){{{count}}}"
    code = f"(?:{_ESCAPE}(?:u00|x)(?i:5c)){{{count}}}"
    return rf"(?:{percent}|{code}|\\{{{count},{count * _MAX_ESCAPED_LENGTH}}})"
