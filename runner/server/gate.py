"""Who may come in: keys and temporary tokens, and the answers of GET /v1/token.

Answers are the service's own, as measured: a wrong key is a 404 there, and a missing
parameter a list of findings.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

# Name, lowest, highest, required.
_PARAMETERS = (
    ("expires_in_seconds", 1, 600, True),
    ("max_session_duration_seconds", 60, 10_800, False),
)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP answer with a JSON body."""

    status: int
    body: Mapping[str, Any]

    @property
    def text(self) -> str:
        return json.dumps(self.body)


class Authenticator:
    """Checks credentials; with no key of its own it lets everybody in."""

    def __init__(self, key: str | None = None) -> None:
        self._key = key
        self._tokens: dict[str, float] = {}  # token: when it can no longer be used

    def admits(
        self, authorization: str | None, query: str, now: float, *, resume_tokens: bool
    ) -> bool:
        """Whether a connection with these credentials may have a session.

        The key comes raw, as a bearer, or as a temporary token in the query. With
        `resume_tokens` the credential has been found among those of live sessions.
        """
        if self._key is None or resume_tokens:
            return True
        if _same(credential(authorization), self._key):
            return True
        token = parse_qs(query).get("token", [""])[-1]
        # Tokens work as often as wanted until they expire, whatever is documented.
        return self._tokens.get(token, -1.0) > now or _same(token, self._key)

    def issue_token(
        self, authorization: str | None, query: str, now: float
    ) -> HttpResponse:
        """Answer GET /v1/token."""
        if authorization is None:
            return HttpResponse(422, {"detail": [_missing("header", "authorization")]})
        if self._key is not None and not _same(credential(authorization), self._key):
            return HttpResponse(404, {"detail": "Invalid API key"})
        given = {name: values[-1] for name, values in parse_qs(query).items()}
        findings = [
            finding
            for name, low, high, required in _PARAMETERS
            if (finding := _check(given.get(name), name, low, high, required))
        ]
        if findings:
            return HttpResponse(422, {"detail": findings})
        seconds = int(given["expires_in_seconds"])
        self._tokens = {t: end for t, end in self._tokens.items() if end > now}
        token = secrets.token_urlsafe(48)
        self._tokens[token] = now + seconds
        return HttpResponse(200, {"token": token, "expires_in_seconds": seconds})


def credential(authorization: str | None) -> str:
    """Return the bare key of an Authorization header; the scheme may be left out."""
    text = (authorization or "").strip()
    scheme, _, rest = text.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else text


def _same(given: str, wanted: str) -> bool:
    # A header that is no ASCII arrives with its bytes as surrogates.
    return hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), wanted.encode("utf-8", "surrogatepass")
    )


def _missing(where: str, name: str) -> dict[str, Any]:
    return {
        "type": "missing",
        "loc": [where, name],
        "msg": "Field required",
        "input": None,
    }


def _check(
    value: str | None, name: str, low: int, high: int, required: bool
) -> dict[str, Any] | None:
    if value is None:
        return _missing("query", name) if required else None
    place = {"loc": ["query", name], "input": value}
    try:
        number = int(value)
    except ValueError:
        text = "Input should be a valid integer, unable to parse string as an integer"
        return {"type": "int_parsing", "msg": text, **place}
    if number < low:
        text = f"Input should be greater than or equal to {low}"
        return {"type": "greater_than_equal", "msg": text, "ctx": {"ge": low}, **place}
    if number > high:
        text = f"Input should be less than or equal to {high}"
        return {"type": "less_than_equal", "msg": text, "ctx": {"le": high}, **place}
    return None
