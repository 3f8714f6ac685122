"""Predicates on host names and addresses: loopback, private, public."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

# The last two are the names of ::1 on Linux distributions.
_THIS_MACHINE = {"localhost", "ip6-localhost", "ip6-loopback"}
# RFC 6761, 6762, 8375 and ICANN's reservation of `internal`; `lan` is a convention.
_PRIVATE_ENDINGS = (".local", ".internal", ".lan", ".home.arpa")
# RFC 6052: an IPv4 address in the last 32 bits, on networks that have IPv6 only.
_NAT64 = IPv6Network("64:ff9b::/96")


def is_this_machine(host: str) -> bool:
    """True if a host is a loopback address or a name that always means this machine."""
    name = host.rstrip(".").lower()
    if name in _THIS_MACHINE or name.endswith(".localhost"):
        return True
    address = _read_address(host)
    return address is not None and address.is_loopback


def is_private_host(host: str) -> bool:
    """True if a host is this machine, a private name or an address that is not public.

    Does not resolve names.
    """
    if is_this_machine(host) or host.rstrip(".").lower().endswith(_PRIVATE_ENDINGS):
        return True
    address = _read_address(host)
    return address is not None and not is_public(address)


def is_public(address: Address) -> bool:
    """True if an address, or an IPv4 address embedded in it, is public.

    Uses the IANA registries of special-purpose addresses that `ipaddress` contains.
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


def is_address(host: str) -> bool:
    """True if a host is an IP address, not a name."""
    return _read_address(host) is not None


def host_in_header(value: str) -> str:
    """Returns the host of a `Host` header in lower case, without port and brackets."""
    value = value.strip().lower()
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.rpartition(":")[0] if value.count(":") == 1 else value


def _read_address(host: str) -> Address | None:
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None
