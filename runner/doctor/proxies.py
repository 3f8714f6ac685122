"""The proxy that the environment names: for which service, and whether it will do."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from runner.doctor.findings import Finding, failed, passed, skipped
from runner.doctor.platforms import Platform, this_platform
from runner.doctor.surroundings import service_of
from runner.doctor.wishes import Wishes
from runner.services import ASSEMBLYAI_URL
from runner.transport import proxy_for

_KINDS = ("wss", "ws", "https", "http", "all", "socks", "no")
_NAMES = frozenset(f"{kind}_proxy" for kind in _KINDS)
# What both libraries for the wire can speak to.
_HTTP = ("http", "https")
_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")


def check_proxy(wishes: Wishes) -> Iterator[Finding]:
    """Look at the proxy on the way to the service, or to AssemblyAI."""
    service = service_of(wishes)
    url = (service.url if service else None) or ASSEMBLYAI_URL
    try:
        proxy = proxy_for(url)
    except ValueError as error:  # such as a bracket that is not closed
        yield failed("proxy", f"{_variables(wishes.environment)}: {error}", None)
        return
    has_socks = importlib.util.find_spec("python_socks") is not None
    yield judge_proxy(
        proxy,
        urlsplit(url).hostname or url,
        _variables(wishes.environment),
        this_platform(),
        has_socks=has_socks,
    )


def judge_proxy(
    proxy: str | None,
    host: str,
    variables: str,
    platform: Platform,
    *,
    has_socks: bool,
) -> Finding:
    """Judge the proxy for a host; `variables` are those of the environment, as text."""
    told = f" ({variables})" if variables else ""
    if proxy is None:
        if variables:
            return passed("proxy", f"none for {host}{told}")
        return skipped("proxy", "no proxy is set")
    address, shown = urlsplit(proxy), without_credentials(proxy)
    detail = f"{shown} for {host}{told}"
    if address.scheme not in (*_HTTP, *_SOCKS) or not address.hostname:
        return failed(
            "proxy",
            f"{detail}: not the address of a proxy",
            platform.set_variable("HTTPS_PROXY", "http://HOST:PORT"),
        )
    if address.scheme in _SOCKS and not has_socks:
        fix = platform.install("python-socks[asyncio]")
        return failed("proxy", f"{detail}: SOCKS needs python-socks", fix)
    return passed("proxy", detail)


def without_credentials(address: str) -> str:
    """Return the address with a user's name and password masked."""
    head, at, tail = address.rpartition("@")
    if not at:
        return address
    scheme, slashes, _ = head.partition("://")
    return f"{scheme}://***@{tail}" if slashes else f"***@{tail}"


def _variables(environment: Mapping[str, str]) -> str:
    found = [
        f"{name}={without_credentials(value)}"
        for name, value in sorted(environment.items())
        if name.lower() in _NAMES and value
    ]
    return ", ".join(found)
