"""Selection of the service of a call, with the reason for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from runner.errors import AuthenticationRejected, UsageError
from runner.hosts import is_this_machine

ASSEMBLYAI_URL = "wss://agents.assemblyai.com/v1/ws"
ASSEMBLYAI_KEY = "ASSEMBLYAI_API_KEY"
# Key for other services: the AssemblyAI key is never sent to another host.
OTHER_KEY = "VAGENT_SERVICE_KEY"


@dataclass(frozen=True, slots=True)
class Service:
    """A far end; `url` is None for the local service, which is yet to be started."""

    name: str
    url: str | None
    why: str
    key: str | None = field(default=None, repr=False)

    @property
    def is_local(self) -> bool:
        """True if it runs on this machine: its models may be slow, and it accepts text.

        Includes a vagent server that was started separately.
        """
        return self.url is None or is_this_machine(urlsplit(self.url).hostname or "")


def choose_service(
    requested: str | None, agent_url: str | None, environment: Mapping[str, str]
) -> Service:
    """Returns the requested service, else that of the agent file, else by the key.

    Raises:
        UsageError: `requested` is neither a known name nor a WebSocket address.
        AuthenticationRejected: AssemblyAI is requested without a key.
    """
    if requested == "local":
        return _embedded("as asked")
    if requested == "assemblyai":
        return _at(ASSEMBLYAI_URL, "as asked", environment)
    if requested is not None:
        return _at(requested, "as asked", environment)
    if agent_url is not None:
        return _at(agent_url, "as the agent file says", environment)
    if environment.get(ASSEMBLYAI_KEY):
        return _at(ASSEMBLYAI_URL, f"{ASSEMBLYAI_KEY} is set", environment)
    return _embedded(f"{ASSEMBLYAI_KEY} is not set")


def _embedded(why: str) -> Service:
    return Service("the local service on this machine", None, why)


def _at(url: str, why: str, environment: Mapping[str, str]) -> Service:
    address = urlsplit(url)
    if address.scheme not in ("ws", "wss") or not address.hostname:
        raise UsageError(
            f"'{url}' is not a service",
            hint="use assemblyai, local, or an address that begins with ws:// or "
            "wss://",
        )
    host = address.hostname
    if not (host == "assemblyai.com" or host.endswith(".assemblyai.com")):
        key = environment.get(OTHER_KEY)
        if key:
            _refuse_clear_text(url, OTHER_KEY)
        return Service(url, url, why, key)
    key = environment.get(ASSEMBLYAI_KEY)
    if not key:
        raise AuthenticationRejected(
            f"{ASSEMBLYAI_KEY} is not set, and AssemblyAI needs a key",
            hint="set it in the environment or in .env, or use --service local, "
            "which needs no key",
        )
    _refuse_clear_text(url, ASSEMBLYAI_KEY)
    name = "AssemblyAI" if url == ASSEMBLYAI_URL else f"AssemblyAI at {host}"
    return Service(name, url, why, key)


def _refuse_clear_text(url: str, variable: str) -> None:
    """Raises `UsageError` if a key would cross a network without encryption."""
    address = urlsplit(url)
    if address.scheme == "ws" and not is_this_machine(address.hostname or ""):
        raise UsageError(
            f"'{url}' is not encrypted, and {variable} would be sent to it",
            hint=f"use an address that begins with wss://, or unset {variable}",
        )
