"""Which service a run would use, and, if asked for, whether it answers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

from runner.doctor.clock import judge_date
from runner.doctor.findings import Finding, failed, passed, skipped
from runner.doctor.handshake import Refused, shake_hands
from runner.doctor.platforms import Platform, this_platform
from runner.doctor.proxies import without_credentials
from runner.doctor.surroundings import chosen_service
from runner.doctor.wishes import Wishes
from runner.errors import AuthenticationRejected, TransportError, VagentError
from runner.loopback import is_this_machine
from runner.protocol.client.recovery import (
    rule_for_close,
    rule_for_error,
    rule_for_refusal,
)
from runner.services import Service
from runner.transport import Dialer, proxy_for

# Seconds. A service that takes longer to open a session is no good for a call.
_OPEN_SECONDS = 15.0
_TOUCH_SECONDS = 2.0
_DATE_SECONDS = 8.0
_ASK_SERVICE = "what the service says is all that is known: see its documentation"
_ASK = "vagent doctor --online"


def check_service(wishes: Wishes) -> Iterator[Finding]:
    """Say which service would be used; one on this machine is called on at once."""
    try:
        service = chosen_service(wishes)
    except AuthenticationRejected:  # the key's own line says what to do
        yield skipped("service", "AssemblyAI, once there is a key")
        return
    except VagentError as error:
        yield failed("service", error.message, error.hint)
        return
    detail = f"{service.name} ({service.why})"
    if service.url is not None and service.is_local:
        yield _touch(service.url, detail)
    else:
        yield passed("service", detail)


def check_online(wishes: Wishes) -> Iterator[Finding]:
    """Open a session at the service, and end it at once."""
    try:
        service = chosen_service(wishes)
    except VagentError:
        yield skipped("online", "no service to call")
        return
    if service.url is None:
        yield skipped("online", "the local service needs no network")
    elif not wishes.online:
        yield skipped("online", "whether the service takes the key: not asked", _ASK)
    else:
        yield judge_opening(service, service.url, this_platform())


def check_clock_online(wishes: Wishes) -> Iterator[Finding]:
    """Compare the clock with that of the service."""
    try:
        service = chosen_service(wishes)
    except VagentError:
        yield skipped("clock-online", "no service to ask for the time")
        return
    if service.url is None:
        yield skipped("clock-online", "no service but this machine's own")
    elif not wishes.online:
        yield skipped("clock-online", "the service's clock: not asked", _ASK)
    else:
        yield judge_service_clock(service.url, this_platform())


def judge_opening(service: Service, url: str, platform: Platform) -> Finding:
    """Open a session and judge what comes of it."""
    dial = Dialer(url, lambda: service.key)
    try:
        seconds = asyncio.run(shake_hands(dial, _OPEN_SECONDS))
    except (Refused, VagentError) as error:
        return failed("online", *_explain(error, service, url, platform))
    taken = "takes the key and " if service.key else ""
    return passed(
        "online", f"{service.name} {taken}opened a session in {seconds * 1000:.0f} ms"
    )


def judge_service_clock(url: str, platform: Platform) -> Finding:
    """Ask the service's host for the time and judge this clock by it."""
    import httpx

    address = urlsplit(url)
    scheme = "https" if address.scheme == "wss" else "http"
    place = urlunsplit((scheme, address.netloc, "/", "", ""))
    is_far = not is_this_machine(address.hostname or "")
    try:
        # Not HEAD, which some servers refuse; and of the answer only its head is read.
        with httpx.stream(
            "GET", place, timeout=_DATE_SECONDS, trust_env=is_far
        ) as answer:
            date = answer.headers.get("Date")
    except (httpx.HTTPError, OSError) as error:
        detail = f"cannot ask {address.hostname} for the time"
        fix = "what is wrong with the way there: see `online`"
        return failed("clock-online", f"{detail} ({_words(error)})", fix)
    return judge_date(date, datetime.now(UTC), platform)


def _touch(url: str, detail: str) -> Finding:
    address = urlsplit(url)
    port = address.port or (443 if address.scheme == "wss" else 80)
    try:
        with socket.create_connection((address.hostname, port), _TOUCH_SECONDS):
            return passed("service", f"{detail}; something listens there")
    except OSError as error:
        fix = f"vagent service --port {port}"
        return failed("service", f"{detail}: {_words(error)}", fix)


def _explain(
    error: Refused | VagentError, service: Service, url: str, platform: Platform
) -> tuple[str, str | None]:
    """Return what happened, and what to do about it."""
    if isinstance(error, Refused):
        if error.code is not None:
            rule = rule_for_error(error.code)
            return f"{service.name} refused: {error}", rule.advice or _ASK_SERVICE
        close = rule_for_close(error.close_code)
        detail = f"{service.name} closed the connection: {error} ({close.meaning})"
        return detail, close.advice or _check_key(service)
    if isinstance(error, AuthenticationRejected):
        return error.message, _check_key(service)
    if isinstance(error, TransportError) and error.status is not None:
        return error.message, rule_for_refusal(error.status).advice
    return error.message, mend_way(error, url, platform)


def _check_key(service: Service) -> str:
    if service.key is None:
        return "set the key that this service wants: VAGENT_SERVICE_KEY"
    return "check the key in the service's dashboard; `key` says where it is from"


def mend_way(error: BaseException, url: str, platform: Platform) -> str:
    """Return what lets a connection be made, by why none was."""
    proxy = proxy_for(url)
    host = urlsplit(url).hostname or url
    causes = list(_causes(error))
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in causes):
        return (
            f"{platform.set_clock()}  # if the clock is wrong; if a proxy opens TLS: "
            + platform.set_variable("SSL_CERT_FILE", "ITS-CERTIFICATE.pem")
        )
    if proxy is not None:
        return f"check that the proxy {without_credentials(proxy)} lets {host} through"
    if any(isinstance(each, socket.gaierror) for each in causes):
        return f"check the network: the name {host} is not known here"
    if is_this_machine(host):
        return "start the server there, or correct the address"
    return f"check the network, and that a firewall lets {host} through"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _words(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    return str(error) or type(error).__name__
