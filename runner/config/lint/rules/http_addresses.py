"""Rules VA430 to VA435: the address of an HTTP tool."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding, replacement
from runner.config.lint.context import rule
from runner.config.lint.tool_facts import find_http_tools
from runner.hosts import is_private_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext

_METADATA = {"169.254.169.254", "fd00:ec2::254", "metadata.google.internal"}


@rule("VA430", "private-address", "warning")
def private_address(inspection: RuleContext) -> Iterator[Finding]:
    """An HTTP tool sends requests to a private address without permission.

    Callers influence the requests of an agent, so requests to this machine or to a
    private network are refused unless the tool has `allow_private: true`.

    Bad:
        tools:
          - name: count_orders
            description: Count the orders of today.
            http: {url: "http://127.0.0.1:8765/orders/today"}
            timeout: 2s

    Good:
        tools:
          - name: count_orders
            description: Count the orders of today.
            http: {url: "http://127.0.0.1:8765/orders/today", allow_private: true}
            timeout: 2s
    """
    for each in inspection.fact(find_http_tools):
        host = each.host
        if host is None or each.allows_private or host in _METADATA:
            continue
        if is_private_host(host):
            message = f"`{host}` is not on the public internet: every call would fail"
            help_ = "add `allow_private: true` if this tool may use it"
            yield Finding(each.place(host), message, help_)


@rule("VA431", "cloud-metadata", "warning")
def cloud_metadata(inspection: RuleContext) -> Iterator[Finding]:
    """An HTTP tool sends requests to the metadata service of a cloud.

    That service returns the credentials of the machine to any program on it; no caller
    needs them.

    Bad:
        tools:
          - name: where_am_i
            description: Say in which region the shop's computer is.
            http: {url: "http://169.254.169.254/latest/meta-data", allow_private: true}
            timeout: 2s

    Good:
        tools:
          - name: where_am_i
            description: Say in which region the shop's computer is.
            http: {url: "https://api.example.com/region"}
            timeout: 2s
    """
    for each in inspection.fact(find_http_tools):
        if each.host in _METADATA:
            message = "this is a cloud metadata service, which returns credentials"
            help_ = "get the value that the agent needs from another service"
            yield Finding(each.place(each.host or ""), message, help_)


@rule("VA432", "plain-http", "warning")
def plain_http(inspection: RuleContext) -> Iterator[Finding]:
    """An HTTP tool sends requests to a public host without encryption.

    Anyone on the network path can read and change the request, the response and the
    key.

    Bad:
        tools:
          - name: lookup_price
            description: Look up the price of the day.
            http: {url: "http://api.example.com/price"}
            timeout: 2s

    Good:
        tools:
          - name: lookup_price
            description: Look up the price of the day.
            http: {url: "https://api.example.com/price"}
            timeout: 2s
    """
    for each in inspection.fact(find_http_tools):
        host = each.host
        if host is None or each.allows_private or is_private_host(host):
            continue
        if each.parts is not None and each.parts.scheme == "http":
            place = each.place("http:")
            message = "the request and the response are not encrypted"
            fix = replacement(place, "http:", "https:", is_safe=False)
            yield Finding(place, message, "use https://", fix)


@rule("VA433", "login-in-url", "warning")
def login_in_url(inspection: RuleContext) -> Iterator[Finding]:
    """The URL of an HTTP tool contains a user name and a password.

    Such URLs end up in logs. Put the credentials into the environment and send them in
    the `Authorization` header.

    Bad:
        tools:
          - name: lookup_price
            description: Look up the price of the day.
            http: {url: "https://shop:${env:SHOP_PASSWORD}@api.example.com/price"}
            timeout: 2s

    Good:
        tools:
          - name: lookup_price
            description: Look up the price of the day.
            http:
              url: https://api.example.com/price
              headers: {Authorization: "Basic ${env:SHOP_LOGIN}"}
            timeout: 2s
    """
    for each in inspection.fact(find_http_tools):
        if each.parts is not None and "@" in each.parts.netloc:
            login = each.url.partition("://")[2].partition("@")[0]
            message = "the URL contains a user name and a password"
            help_ = "send them in the `Authorization` header, from the environment"
            yield Finding(each.place(login), message, help_)


@rule("VA434", "url-malformed")
def url_malformed(inspection: RuleContext) -> Iterator[Finding]:
    """The URL of an HTTP tool is not valid.

    It has no host, contains spaces, or its port is out of range.

    Bad:
        tools:
          - name: lookup_price
            description: Look up the price of the day.
            http: {url: "https://api.example.com:99999/price"}
            timeout: 2s

    Good:
        tools:
          - name: lookup_price
            description: Look up the price of the day.
            http: {url: "https://api.example.com:8443/price"}
            timeout: 2s
    """
    for each in inspection.fact(find_http_tools):
        place, help_ = inspection.value((*each.path, "url")), None
        blank = re.search(r"\s+", each.url)
        if blank:
            place = inspection.part((*each.path, "url"), *blank.span())
            message, help_ = "a URL cannot contain spaces", "write %20 for a space"
        elif each.url.startswith("${"):
            continue  # the variable may be all of it
        elif each.parts is None or not each.parts.netloc:
            message = "the URL has no host"
            help_ = "write it in full, such as https://api.example.com/orders/{id}"
        elif _has_bad_port(each.parts.netloc):
            place = each.place(each.parts.netloc.rpartition(":")[2])
            message = "the port is not a number from 1 to 65535"
        else:
            continue
        yield Finding(place, message, help_)


@rule("VA435", "url-fragment", "warning")
def url_fragment(inspection: RuleContext) -> Iterator[Finding]:
    """The URL of an HTTP tool has a fragment, which is never sent.

    Only browsers use the part after a `#`. Write `%23` for a literal `#`.

    Bad:
        tools:
          - name: lookup_price
            description: Look up the price of the day.
            http: {url: "https://api.example.com/prices#today"}
            timeout: 2s

    Good:
        tools:
          - name: lookup_price
            description: Look up the price of the day.
            http: {url: "https://api.example.com/prices?day=today"}
            timeout: 2s
    """
    for each in inspection.fact(find_http_tools):
        mark, _, fragment = each.url.partition("#")
        if fragment or each.url != mark:
            message = "the part of the URL after `#` is never sent"
            help_ = "write %23 for a literal `#`, or remove it"
            yield Finding(each.place(each.url[len(mark) :]), message, help_)


def _has_bad_port(netloc: str) -> bool:
    port = re.search(r":([^\]@:\0]*)\Z", netloc.rpartition("@")[2])
    if port is None or not port[1]:
        return False
    return not (port[1].isdecimal() and 0 < int(port[1]) < 65536)
