"""Tokens with which the backend of a site lets one caller hold one call.

A token is `PAYLOAD.SIGNATURE`, both in base64url without padding. The payload is JSON:

    {"v": 1, "agent": "support", "sub": "user42", "exp": 1790213765, "nonce": "6f1c…",
     "max_duration": 600, "vars": {"name": "Ada"}}

The signature is HMAC-SHA256 (RFC 2104) of the encoded payload with the key that site
and server share. `exp` is epoch seconds; `max_duration` (seconds) and `vars` may be
missing. A token is used up by the first socket that presents it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.errors import UsageError

KEY_VARIABLE = "VAGENT_TOKEN_KEY"
VERSION = 1
MIN_KEY_BYTES = 16
# A token is for the next minutes: one that lives longer can be stolen and kept.
MAX_TTL_SECONDS = 600
# The clocks of two machines differ by less.
_CLOCK_SECONDS = 30
_MAX_LENGTH = 4_096  # characters
_MAX_USED = 100_000


@dataclass(frozen=True, slots=True)
class CallToken:
    """A token with a valid signature that has not expired.

    `subject` identifies the caller for limits; `variables` are set by the site.
    """

    agent_id: str
    subject: str
    expires_at: float  # epoch seconds
    nonce: str
    max_duration: float | None = None  # seconds
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """Why a token is not accepted."""

    code: str
    message: str


def read_token_key(environment: Mapping[str, str]) -> bytes | None:
    """Returns the key of VAGENT_TOKEN_KEY, None if it is not set.

    Raises:
        UsageError: the key is too short.
    """
    text = environment.get(KEY_VARIABLE, "")
    if not text:
        return None
    if len(text.encode()) < MIN_KEY_BYTES:
        raise UsageError(
            f"{KEY_VARIABLE} is shorter than {MIN_KEY_BYTES} characters",
            hint="make one with: python -c 'import secrets; "
            "print(secrets.token_urlsafe(32))'",
        )
    return text.encode()


def mint(
    key: bytes,
    agent_id: str,
    subject: str,
    *,
    now: float,
    ttl: float = 60.0,
    max_duration: float | None = None,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Returns a token that is valid for `ttl` seconds from `now` (epoch seconds).

    Raises:
        ValueError: the key is too short, `ttl` is not in 1 to 600, `max_duration` is
            not positive, or the variables are too long.
    """
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"a token key has at least {MIN_KEY_BYTES} bytes")
    if not 1 <= ttl <= MAX_TTL_SECONDS:
        raise ValueError(f"a token is valid for 1 to {MAX_TTL_SECONDS} s")
    payload: dict[str, Any] = {
        "v": VERSION,
        "agent": agent_id,
        "sub": subject,
        "exp": int(now + ttl),
        "nonce": secrets.token_hex(16),
    }
    if max_duration is not None:
        payload["max_duration"] = max_duration
    if variables:
        payload["vars"] = dict(variables)
    encoded = _encode(json.dumps(payload, separators=(",", ":")).encode())
    token = f"{encoded}.{_sign(key, encoded)}"
    refused = verify(key, token, now)
    if isinstance(refused, TokenRefused):
        raise ValueError("the values do not fit into a token")
    return token


def verify(key: bytes, token: str, now: float) -> CallToken | TokenRefused:
    """Returns the content of a token, or why it is refused."""
    encoded, dot, signature = token.partition(".")
    if not dot or len(token) > _MAX_LENGTH or not token.isascii():
        return TokenRefused("token_invalid", "The token is not a call token")
    if not hmac.compare_digest(signature, _sign(key, encoded)):
        return TokenRefused("token_invalid", "The token has a wrong signature")
    try:
        payload = json.loads(_decode(encoded))
        found = _read(payload)
    except (ValueError, KeyError, TypeError, RecursionError):
        return TokenRefused("token_invalid", "The token's content is not valid")
    if found.expires_at <= now:
        return TokenRefused("token_expired", "The token has expired")
    if found.expires_at > now + MAX_TTL_SECONDS + _CLOCK_SECONDS:
        text = f"The token is valid for more than {MAX_TTL_SECONDS} s"
        return TokenRefused("token_invalid", text)
    return found


class UsedTokens:
    """Remembers which tokens were used, until they expire."""

    def __init__(self) -> None:
        self._expiry: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._expiry)

    def redeem(self, token: CallToken, now: float) -> bool:
        """Returns True for the first use of a token; the token is used up by it."""
        if token.nonce in self._expiry:
            return False
        if len(self._expiry) >= _MAX_USED:
            self._forget_expired(now)
        if len(self._expiry) >= _MAX_USED:
            return False  # more than can be remembered: refusing is safe
        self._expiry[token.nonce] = token.expires_at
        return True

    def _forget_expired(self, now: float) -> None:
        for nonce, expires_at in list(self._expiry.items()):
            if expires_at <= now:
                del self._expiry[nonce]


def _read(payload: Any) -> CallToken:
    """Returns the content of a payload; raises ValueError, KeyError or TypeError."""
    if not isinstance(payload, dict) or payload.get("v") != VERSION:
        raise ValueError("unknown version")
    agent, subject = _text(payload["agent"]), _text(payload["sub"])
    nonce = _text(payload["nonce"])
    if not nonce:
        raise ValueError("no nonce")
    duration = payload.get("max_duration")
    variables = payload.get("vars") or {}
    if not isinstance(variables, dict):
        raise TypeError("vars is not an object")
    return CallToken(
        agent,
        subject,
        _number(payload["exp"]),
        nonce,
        None if duration is None else _number(duration),
        {_text(name): _text(value) for name, value in variables.items()},
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    value.encode()  # raises for half a surrogate pair
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number")
    if not 0 < value < 1e12:
        raise ValueError("out of range")
    return float(value)


def _sign(key: bytes, encoded: str) -> str:
    return _encode(hmac.digest(key, encoded.encode(), hashlib.sha256))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), "-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
