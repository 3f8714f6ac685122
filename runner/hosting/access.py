"""Who may reach a server of hosted agents: hosts, web pages, callers, the operator.

On this machine everything is open. On a public address, callers need a token of the
site's own backend, or the configuration says `open: true` with origins and limits.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from runner.hosting.host import Caller
from runner.hosting.limits import Limits, Refusal, network_of
from runner.hosting.tokens import CallToken, TokenRefused, UsedTokens, mint, verify
from runner.hosts import host_in_header, is_this_machine
from runner.service.http import AccessPolicy

_MINT_HINT = "the backend of the site mints tokens, for example with `vagent token`"


class AccessRefused(Exception):
    """A request is refused."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal(status, code, message, None)


@dataclass(slots=True)
class Access:
    """Checks requests; `token_key` None: callers need no token.

    `public` is the address that clients use, if it is configured.
    """

    policy: AccessPolicy
    limits: Limits
    public: str | None = None
    token_key: bytes | None = None
    operator_key: str | None = None
    is_local: bool = True  # the server listens on this machine only
    _own_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _used: UsedTokens = field(default_factory=UsedTokens)

    @property
    def public_socket(self) -> str | None:
        """The address of the socket, by the public address; None if there is none."""
        if self.public is None:
            return None
        scheme = "ws" if self.public.startswith("http:") else "wss"
        return f"{scheme}://{self.public.partition('://')[2].rstrip('/')}/v1/ws"

    def allows_origin(self, origin: str) -> bool:
        """True if pages of this origin may call."""
        return self.policy.allows_origin(origin)

    def check_host(self, connection: HTTPConnection) -> None:
        """Raises AccessRefused for the name of another server (DNS rebinding)."""
        host = connection.headers.get("host", "")
        if not self.policy.allows_host(host_in_header(host)):
            text = f"Host '{host[:80]}' is not a name of this server; see `public`"
            raise AccessRefused(403, "host_refused", text)

    def check_origin(self, connection: HTTPConnection) -> None:
        """Raises AccessRefused for a page of an origin that is not allowed.

        A page of this server itself is allowed: browsers send its own address.
        """
        for origin in connection.headers.getlist("origin"):
            if self._is_own(origin, connection) or self.allows_origin(origin):
                continue
            text = f"Origin '{origin[:80]}' is not allowed; see `web.origins`"
            raise AccessRefused(403, "origin_refused", text)

    def check_operator(
        self, connection: HTTPConnection, *, is_metrics: bool = False
    ) -> None:
        """Raises AccessRefused without the operator's key.

        On this machine, no key is needed for metrics, and for calls if none is set.
        """
        header = connection.headers.get("authorization", "")
        given = header.partition(" ")[2].strip() or header
        if self.operator_key and _is_equal(given, self.operator_key):
            return
        client = connection.client.host if connection.client else ""
        is_near = self.is_local or is_this_machine(client)
        if is_near and (is_metrics or self.operator_key is None):
            return
        text = "The operator's key is missing or wrong (Authorization: Bearer KEY)"
        raise AccessRefused(401, "operator_key_required", text)

    def check_minting(self, connection: HTTPConnection) -> None:
        """Raises AccessRefused if this client may not ask for a token.

        With `web.tokens`, only who has the key may: it is the site's backend.
        """
        if self.token_key is None:
            return
        header = connection.headers.get("authorization", "")
        given = header.partition(" ")[2].strip() or header
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self.token_key):
            text = f"A token is required; {_MINT_HINT}"
            raise AccessRefused(401, "token_required", text)

    def mint(self, agent_id: str, subject: str, seconds: int) -> str:
        """Returns a token for one call within so many seconds."""
        key = self.token_key or self._own_key
        return mint(key, agent_id, subject, now=time.time(), ttl=seconds)

    def identify(self, connection: HTTPConnection) -> Caller:
        """Returns the caller without a token: the network of its address."""
        address = connection.client.host if connection.client else "unknown"
        return Caller(network_of(address))

    def redeem(self, connection: HTTPConnection, credentials: Sequence[str]) -> Caller:
        """Returns the caller of a socket by its token, which is used up.

        Raises:
            AccessRefused: a token is required and missing, invalid or used.
        """
        caller = self.identify(connection)
        key = self.token_key or self._own_key
        refused: TokenRefused | None = None
        now = time.time()
        for each in credentials:
            token = verify(key, each, now)
            if isinstance(token, TokenRefused):
                refused = refused or token
            elif not self._used.redeem(token, now):
                refused = TokenRefused("token_used", "The token was used already")
            else:
                return self._caller_of(token, caller)
        if self.token_key is None:
            # Open: a client of AssemblyAI sends a key, which means nothing here.
            return caller
        if refused is not None:
            raise AccessRefused(401, refused.code, refused.message)
        text = f"A token is required; {_MINT_HINT}"
        raise AccessRefused(401, "token_required", text)

    def _caller_of(self, token: CallToken, caller: Caller) -> Caller:
        # The subject of a token that this server has made is a network already.
        identity = token.subject or caller.identity
        if token.subject and self.token_key is not None:
            identity = f"caller {token.subject}"
        return Caller(
            identity, token.agent_id or None, token.variables, token.max_duration
        )

    def _is_own(self, origin: str, connection: HTTPConnection) -> bool:
        try:
            address = urlsplit(origin)
            name, port = address.hostname, address.port
        except ValueError:
            return False
        host = connection.headers.get("host", "")
        own = host_in_header(host)
        default = 443 if address.scheme == "https" else 80
        given = host.rpartition(":")[2] if host.count(":") == 1 else ""
        own_port = int(given) if given.isdigit() else default
        return name == own and (port or default) == own_port


def _is_equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
