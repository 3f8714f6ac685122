"""Which addresses a tool may reach: public ones, unless the agent file says otherwise.

An agent's words come from a caller. Without this, a tool whose host name is repointed
would let the caller reach what only this machine or its network can (the metadata
service of a cloud, a printer, a database).
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

from runner.hosts import is_private_host, is_public


class AddressRefused(Exception):
    """The host is not a public one; the message is for the model, the host is in it."""


class HostUnknown(Exception):
    """The host name does not resolve."""


async def resolve_public(host: str, port: int) -> list[str]:
    """Resolve a host and return its addresses; all of them must be public.

    Raises `HostUnknown` or `AddressRefused`. The caller connects to an address returned
    here: asking for the name again could give another answer.
    """
    addresses = await _resolve(host, port)
    for text in addresses:
        if not is_public(ip_address(text)):
            raise AddressRefused(f"{host} is not on the public internet")
    return addresses


def check_literal(host: str) -> None:
    """Refuse a host that is private by its name or address alone.

    For requests through a proxy, which resolves names itself.
    """
    if is_private_host(host):
        raise AddressRefused(f"{host} is not on the public internet")


async def _resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise HostUnknown(host) from error
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses:
        raise HostUnknown(host)
    return list(dict.fromkeys(addresses))
