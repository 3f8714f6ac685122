from __future__ import annotations

import pytest

from runner.tools.http_client import (
    AddressRefused,
    HostUnknown,
    check_host,
    resolve_public,
)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0x7f000001"])
async def test_a_host_that_resolves_to_this_machine_is_refused(host: str) -> None:
    with pytest.raises((AddressRefused, HostUnknown)):
        await resolve_public(host, 80)


@pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 70, "a..b"])
async def test_a_host_that_does_not_resolve_is_unknown(host: str) -> None:
    with pytest.raises(HostUnknown):
        await resolve_public(host, 80)


async def test_a_public_address_resolves_to_itself() -> None:
    assert await resolve_public("1.1.1.1", 443) == ["1.1.1.1"]


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "db.localhost", "127.0.0.1", "[::1]", "fe80::1"]
)
def test_no_proxy_is_used_for_this_machine(host: str) -> None:
    with pytest.raises(AddressRefused):
        check_host(host)


@pytest.mark.parametrize("host", ["api.example.com", "1.1.1.1"])
def test_a_proxy_may_be_used_for_other_hosts(host: str) -> None:
    check_host(host)
