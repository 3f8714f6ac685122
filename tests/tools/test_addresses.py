from __future__ import annotations

from ipaddress import ip_address

import pytest

from runner.tools.addresses import (
    AddressRefused,
    HostUnknown,
    check_literal,
    is_public,
    resolve_public,
)

PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",  # where clouds keep a machine's credentials
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "239.1.1.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fd00::1",
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "64:ff9b::7f00:1",  # NAT64 of 127.0.0.1
    "2001:db8::1",
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"]


@pytest.mark.parametrize("text", PRIVATE)
def test_special_addresses_are_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_ordinary_addresses_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0x7f000001"])
async def test_a_host_that_resolves_to_this_machine_is_refused(host: str) -> None:
    with pytest.raises((AddressRefused, HostUnknown)):
        await resolve_public(host, 80)


@pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 70, "a..b"])
async def test_a_host_that_does_not_resolve_is_unknown(host: str) -> None:
    with pytest.raises(HostUnknown):
        await resolve_public(host, 80)


async def test_a_public_address_is_its_own_answer() -> None:
    assert await resolve_public("1.1.1.1", 443) == ["1.1.1.1"]


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "db.localhost", "127.0.0.1", "[::1]", "fe80::1"]
)
def test_a_proxy_is_not_asked_for_this_machine(host: str) -> None:
    with pytest.raises(AddressRefused):
        check_literal(host)


@pytest.mark.parametrize("host", ["api.example.com", "1.1.1.1"])
def test_a_proxy_may_be_asked_for_others(host: str) -> None:
    check_literal(host)
