"""Predicates on host names and addresses: loopback, private, public."""

from __future__ import annotations

import re
import unicodedata
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

# The last two are the names of ::1 on Linux distributions.
_THIS_MACHINE = {"localhost", "ip6-localhost", "ip6-loopback"}
# RFC 6761, 6762, 8375 and ICANN's reservation of `internal`; `lan` is a convention.
_PRIVATE_ENDINGS = (".local", ".internal", ".lan", ".home.arpa")
# RFC 6052: an IPv4 address in the last 32 bits, on networks that have IPv6 only.
_NAT64 = IPv6Network("64:ff9b::/96")
# The IANA registries of special-purpose addresses and multicast. Not the properties of
# `ipaddress`, whose tables differ between the patch releases of Python.
_NOT_PUBLIC_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
            "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
            "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
            "224.0.0.0/3",
        ),
    )
)  # fmt: skip
# All public IPv6 addresses are in one block. Not in it: ::/96 and the mapped addresses,
# 64:ff9b:1::/48, 100::/64, 5f00::/16, fc00::/7, fe80::/10, fec0::/10, ff00::/8.
_PUBLIC_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)
# The parts of an IPv4 address as `inet_aton` and browsers read it.
_IPV4_PART = re.compile(
    r"0[xX](?P<hex>[0-9a-fA-F]*)|(?P<octal>0[0-7]*)|(?P<dec>[1-9][0-9]*)"
)
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_MAX_IPV4_PART_LENGTH = 40  # characters


def is_this_machine(host: str) -> bool:
    """True if a host is a loopback address or a name that always means this machine."""
    name = _normalize(host)
    if name in _THIS_MACHINE or name.endswith(".localhost"):
        return True
    address = _read_address(host)
    return address is not None and address.is_loopback


def is_private_host(host: str) -> bool:
    """True if a host is this machine, a private name or an address that is not public.

    Does not resolve names.
    """
    name = _normalize(host)
    if is_this_machine(host) or name.endswith(_PRIVATE_ENDINGS):
        return True
    address = _read_address(host)
    if address is None:
        # No name ends with a number; what reads it could take it for an address.
        return _NUMBER.fullmatch(name.rpartition(".")[2]) is not None
    return not is_public(address)


def is_public(address: Address) -> bool:
    """True if an address, or the IPv4 address that it stands for, is public."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _PUBLIC_V6 and not any(
        address in network for network in _NOT_PUBLIC_V6
    )


def _normalize(host: str) -> str:
    """Returns a host as resolvers read it: full-width and circled digits are digits."""
    text = unicodedata.normalize("NFKC", host).replace("\u3002", ".")
    return text.strip().rstrip(".").lower()


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
    """Returns the address in a host, in each spelling that resolvers accept."""
    text = _normalize(host).strip("[]")
    try:
        return ip_address(text)
    except ValueError:
        return _read_ipv4(text)


def _read_ipv4(text: str) -> IPv4Address | None:
    """Returns the address in `127.1`, `0x7f000001`, `0177.0.0.1` or `2130706433`."""
    parts = text.split(".")
    if len(parts) > 4:
        return None
    numbers: list[int] = []
    for part in parts:
        found = _IPV4_PART.fullmatch(part)
        if found is None or len(part) > _MAX_IPV4_PART_LENGTH:
            return None
        base = {"hex": 16, "octal": 8, "dec": 10}[found.lastgroup or "dec"]
        numbers.append(int(found[found.lastgroup or "dec"] or "0", base))
    *first, last = numbers
    if any(number > 0xFF for number in first) or last >= 256 ** (5 - len(numbers)):
        return None
    value = sum(number << (24 - 8 * place) for place, number in enumerate(first))
    return IPv4Address(value + last)
