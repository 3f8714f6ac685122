"""Which addresses a tool may reach: public ones, unless the agent file says otherwise.

An agent's words come from a caller. Without this, a tool whose host name is repointed
would let the caller reach what only this machine or its network can (the metadata
service of a cloud, a printer, a database).
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import (
    IPv4Address,
    IPv6Address,
    IPv6Network,
    ip_address,
)

from runner.loopback import is_this_machine

Address = IPv4Address | IPv6Address

# RFC 6052: IPv4 addresses as a network of IPv6 only shows them; the last 32 bits.
_NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefused(Exception):
    """The host is not a public one; the message is for the model, the host is in it."""


class HostUnknown(Exception):
    """The host name does not resolve."""


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, seen through IPv6 wrappings.

    Follows the IANA registries of special-purpose addresses that `ipaddress` knows.
    """
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast


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
    """Refuse a host that is a private address, or names this machine, as it stands.

    For requests through a proxy, which resolves names itself.
    """
    address = _read_literal(host)
    if is_this_machine(host) or (address is not None and not is_public(address)):
        raise AddressRefused(f"{host} is not on the public internet")


def _read_literal(host: str) -> Address | None:
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


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
