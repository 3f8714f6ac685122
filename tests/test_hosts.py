from __future__ import annotations

from ipaddress import ip_address

import pytest

from runner.hosts import (
    host_in_header,
    is_address,
    is_private_host,
    is_public,
    is_this_machine,
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
    "::127.0.0.1",
    "::a9fe:a9fe",
    "::ffff:0:127.0.0.1",
    "64:ff9b:1::a00:1",
    "192.88.99.1",
    "192.0.0.9",
    "198.18.0.1",
    "203.0.113.7",
    "240.0.0.1",
    "100::1",
    "2001::1",
    "2001:20::1",
    "3fff::1",
    "5f00::1",
]
PUBLIC = [
    "1.1.1.1",
    "93.184.216.34",
    "2606:4700::1111",
    "64:ff9b::101:101",
    "::ffff:1.1.1.1",
]


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "ip6-localhost",
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "[::1]",
    ],
)
def test_loopback_in_every_spelling_is_this_machine(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "10.0.0.1", "localhost.example.com", "notlocalhost", "::", "::2"],
)
def test_everything_else_is_not(host: str) -> None:
    assert not is_this_machine(host)


@pytest.mark.parametrize("text", PRIVATE)
def test_special_addresses_are_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_ordinary_addresses_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("host", ["localhost", "a.local", "db.Internal.", "[::1]"])
def test_a_host_is_private_by_its_name_or_address(host: str) -> None:
    assert is_private_host(host)


@pytest.mark.parametrize("host", PRIVATE)
def test_an_address_that_is_not_public_is_a_private_host(host: str) -> None:
    assert is_private_host(host)


@pytest.mark.parametrize("host", [*PUBLIC, "example.com", "local", "internal.example"])
def test_other_hosts_are_not_known_to_be_private(host: str) -> None:
    assert not is_private_host(host)


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("Example.com:80", "example.com"),
        ("example.com", "example.com"),
        ("127.0.0.1:8765", "127.0.0.1"),
        ("[::1]:8765", "::1"),
        ("::1", "::1"),
        ("", ""),
    ],
)
def test_the_host_of_a_header_has_no_port(header: str, host: str) -> None:
    assert host_in_header(header) == host


def test_a_name_is_not_an_address() -> None:
    assert is_address("192.0.2.1")
    assert is_address("::1")
    assert not is_address("localhost")


@pytest.mark.parametrize(
    "host",
    [
        "127.1", "2130706433", "0x7f000001", "0X7F.1", "0177.0.0.1", "127.0.0.1.",
        "127.0.0.1..", "①②⑦.0.0.1", "１２７.0.0.1", "127。0。0。1",
    ],
)  # fmt: skip
def test_loopback_is_known_in_the_spellings_of_resolvers(host: str) -> None:
    assert is_this_machine(host)
    assert is_private_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "0", "0x0", "10.1", "169.254.169.254.", "0xa9fea9fe", "2852039166",
        "0300.0250.1.1",
        "metadata.google.internal", "metadata.google.internal.", "1.2.3.4.5",
        "127.0.0.256", "99999999999", "0x", "09.1.1.1", "a.1", "[::ffff:7f00:1]",
    ],
)  # fmt: skip
def test_other_spellings_of_private_addresses_are_private_hosts(host: str) -> None:
    assert is_private_host(host)


@pytest.mark.parametrize("host", ["1.1", "0x01010101", "16843009", "1.1.1.1."])
def test_a_public_address_is_public_in_each_spelling(host: str) -> None:
    assert not is_private_host(host)
