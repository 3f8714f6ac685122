"""Checks the service of a run: its key, the proxy and, online, a session."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

from runner.cli.doctor_checks.context import chosen_service, service_of
from runner.cli.doctor_checks.environment import judge_date
from runner.cli.doctor_checks.model import (
    CheckResult,
    DoctorOptions,
    Platform,
    failed,
    passed,
    skipped,
    this_platform,
)
from runner.config.files import load_environment
from runner.engine.connection import Dial, Transport
from runner.engine.services import ASSEMBLYAI_KEY, ASSEMBLYAI_URL, OTHER_KEY, Service
from runner.engine.transports import Dialer, proxy_for
from runner.errors import (
    AuthenticationRejected,
    ConnectionLost,
    FileUnreadable,
    RemoteProtocolError,
    TransportError,
    UsageError,
    VagentError,
)
from runner.event_loop import run_async
from runner.hosts import is_this_machine
from runner.protocol.client.state import (
    rule_for_close,
    rule_for_error,
    rule_for_refusal,
)
from runner.protocol.codec import decode_server, encode
from runner.protocol.messages import (
    SessionEnd,
    SessionError,
    SessionReady,
    SessionUpdate,
)

# A service that takes longer to open a session is unusable for calls.
_OPEN_SECONDS = 15.0
_CONNECT_SECONDS = 2.0
_DATE_SECONDS = 8.0
_SESSION = {"system_prompt": "Say nothing."}  # no greeting, no tools
_SEE_DOCUMENTATION = "see the documentation of the service"
_USE_ONLINE = "vagent doctor --online"
# The format of AssemblyAI today. Another one can be right later, so it does not fail.
_USUAL_KEY = re.compile("[0-9a-f]{32}")
# Placeholders in the examples of manuals.
_PLACEHOLDER = re.compile(
    r"(?i)your|example|<.*>|\.\.\.|x{6,}|\*{3,}|change.?me|api.?key"
)
# In this order: the first problem of a key is reported.
_KEY_PROBLEMS: tuple[tuple[Callable[[str], object], str], ...] = (
    (lambda key: key != key.strip(), "has spaces or line ends around it"),
    (lambda key: key[0] in "'\"" or key[-1] in "'\"", "has quotes around it"),
    (
        lambda key: key.lower().startswith(("bearer ", "authorization")),
        "is a header, not a key: remove the first word",
    ),
    (
        lambda key: not (key.isascii() and key.isprintable()),
        "has characters that keys do not have",
    ),
    (lambda key: " " in key, "has a space in it"),
    (_PLACEHOLDER.search, "is the placeholder of a manual, not a key"),
)
_PROXY_VARIABLES = frozenset(
    f"{kind}_proxy" for kind in ("wss", "ws", "https", "http", "all", "socks", "no")
)
# The schemes that both WebSocket libraries support.
_HTTP = ("http", "https")
_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")


# -------------------------------------------------------------------------------- key


def check_key(options: DoctorOptions) -> Iterator[CheckResult]:
    """Checks the key that a run would send, without showing it."""
    platform = this_platform()
    dotenv = options.folder / ".env"
    try:
        environment = load_environment(options.folder, options.environment)
        in_file = load_environment(options.folder, {})
        service = chosen_service(options)
    except FileUnreadable as error:
        yield failed("key", error.message, error.hint)
        return
    except AuthenticationRejected as error:
        fix = platform.set_variable(ASSEMBLYAI_KEY, "YOUR-KEY")
        yield failed("key", error.message, f"{fix}, or a line in {dotenv}")
        return
    except UsageError:  # reported by `check_service`
        yield skipped("key", "no service to send it to")
        return
    is_ours = service.key is None or service.key == environment.get(ASSEMBLYAI_KEY)
    name = ASSEMBLYAI_KEY if is_ours else OTHER_KEY
    value = environment.get(name)
    if not value:
        detail = f"{ASSEMBLYAI_KEY} is not set, and {service.name} needs none"
        yield skipped("key", detail)
        return
    source = f"from {dotenv}" if name not in options.environment else "from the shell"
    if name in options.environment and in_file.get(name, value) != value:
        source += f"; {dotenv} has another one, which is ignored"
    yield judge_key(name, value, source, platform)


def judge_key(name: str, value: str, source: str, platform: Platform) -> CheckResult:
    """Returns the result for the format of a key; contains no part of the key."""
    for is_wrong, problem in _KEY_PROBLEMS:
        if is_wrong(value):
            fix = platform.set_variable(name, "YOUR-KEY")
            return failed("key", f"{name} {source} {problem}", fix)
    if name == ASSEMBLYAI_KEY and not _USUAL_KEY.fullmatch(value):
        source += "; not the usual 32 hexadecimal digits: is it complete?"
    return passed("key", f"{name} is set, {source}")


# ------------------------------------------------------------------------------ proxy


def check_proxy(options: DoctorOptions) -> Iterator[CheckResult]:
    """Checks the proxy for the service, by default for AssemblyAI."""
    service = service_of(options)
    url = (service.url if service else None) or ASSEMBLYAI_URL
    variables = ", ".join(
        f"{name}={without_credentials(value)}"
        for name, value in sorted(options.environment.items())
        if name.lower() in _PROXY_VARIABLES and value
    )
    try:
        proxy = proxy_for(url)
    except ValueError as error:  # such as a bracket that is not closed
        yield failed("proxy", f"{variables}: {error}", None)
        return
    has_socks = importlib.util.find_spec("python_socks") is not None
    host = urlsplit(url).hostname or url
    yield judge_proxy(proxy, host, variables, this_platform(), has_socks=has_socks)


def judge_proxy(
    proxy: str | None,
    host: str,
    variables: str,
    platform: Platform,
    *,
    has_socks: bool,
) -> CheckResult:
    """Returns the result for the proxy of a host; the detail shows `variables`."""
    source = f" ({variables})" if variables else ""
    if proxy is None:
        if variables:
            return passed("proxy", f"none for {host}{source}")
        return skipped("proxy", "no proxy is set")
    address = urlsplit(proxy)
    detail = f"{without_credentials(proxy)} for {host}{source}"
    if address.scheme not in (*_HTTP, *_SOCKS) or not address.hostname:
        fix = platform.set_variable("HTTPS_PROXY", "http://HOST:PORT")
        return failed("proxy", f"{detail}: not the address of a proxy", fix)
    if address.scheme in _SOCKS and not has_socks:
        fix = platform.install("python-socks[asyncio]")
        return failed("proxy", f"{detail}: SOCKS needs python-socks", fix)
    return passed("proxy", detail)


def without_credentials(address: str) -> str:
    """Returns the address with user name and password redacted."""
    head, at, tail = address.rpartition("@")
    if not at:
        return address
    scheme, slashes, _ = head.partition("://")
    return f"{scheme}://***@{tail}" if slashes else f"***@{tail}"


# ---------------------------------------------------------------------------- service


def check_service(options: DoctorOptions) -> Iterator[CheckResult]:
    """Reports the service of a run; connects to it if it is on this machine."""
    try:
        service = chosen_service(options)
    except AuthenticationRejected:  # reported by `check_key`
        yield skipped("service", "AssemblyAI, once a key is set")
        return
    except VagentError as error:
        yield failed("service", error.message, error.hint)
        return
    detail = f"{service.name} ({service.why})"
    if service.url is None or not service.is_local:
        yield passed("service", detail)
        return
    address = urlsplit(service.url)
    port = address.port or (443 if address.scheme == "wss" else 80)
    try:
        with socket.create_connection((address.hostname, port), _CONNECT_SECONDS):
            yield passed("service", f"{detail}; a server is listening")
    except OSError as error:
        fix = f"vagent service --port {port}"
        yield failed("service", f"{detail}: {_reason(error)}", fix)


def check_online(options: DoctorOptions) -> Iterator[CheckResult]:
    """Opens a session with the service and ends it."""
    yield _if_online(options, "online", "the key", judge_session)


def check_clock_online(options: DoctorOptions) -> Iterator[CheckResult]:
    """Compares the clock with that of the service."""
    yield _if_online(
        options,
        "clock-online",
        "the clock",
        lambda _, url, platform: judge_service_clock(url, platform),
    )


def _if_online(
    options: DoctorOptions,
    name: str,
    subject: str,
    judge: Callable[[Service, str, Platform], CheckResult],
) -> CheckResult:
    service = service_of(options)
    if service is None:
        return skipped(name, f"{subject}: no service to check it with")
    if service.url is None:
        return skipped(name, "the local service needs no network")
    if not options.online:
        return skipped(name, f"{subject}: not checked with the service", _USE_ONLINE)
    return judge(service, service.url, this_platform())


def judge_session(service: Service, url: str, platform: Platform) -> CheckResult:
    """Opens a session and returns the result."""
    dial = Dialer(url, lambda: service.key)
    try:
        seconds = run_async(open_test_session(dial, _OPEN_SECONDS))
    except (Refused, VagentError) as error:
        return failed("online", *_explain(error, service, url, platform))
    accepted = "accepted the key and " if service.key else ""
    detail = f"{service.name} {accepted}opened a session in {seconds * 1000:.0f} ms"
    return passed("online", detail)


def judge_service_clock(url: str, platform: Platform) -> CheckResult:
    """Requests the date from the host of the service and compares the clock with it."""
    import httpx

    address = urlsplit(url)
    scheme = "https" if address.scheme == "wss" else "http"
    root = urlunsplit((scheme, address.netloc, "/", "", ""))
    is_remote = not is_this_machine(address.hostname or "")
    try:
        # Not HEAD, which some servers refuse; only the head of the response is read.
        with httpx.stream(
            "GET", root, timeout=_DATE_SECONDS, trust_env=is_remote
        ) as response:
            date = response.headers.get("Date")
    except (httpx.HTTPError, OSError) as error:
        detail = f"cannot get the date from {address.hostname} ({_reason(error)})"
        return failed("clock-online", detail, "see the line `online`")
    return judge_date(date, datetime.now(UTC), platform)


def _explain(
    error: Refused | VagentError, service: Service, url: str, platform: Platform
) -> tuple[str, str | None]:
    """Returns the detail and the fix of a session that was not opened."""
    if isinstance(error, Refused):
        if error.code is not None:
            rule = rule_for_error(error.code)
            advice = rule.advice or _SEE_DOCUMENTATION
            return f"{service.name} refused: {error}", advice
        close = rule_for_close(error.close_code)
        detail = f"{service.name} closed the connection: {error} ({close.meaning})"
        return detail, close.advice or _key_advice(service)
    if isinstance(error, AuthenticationRejected):
        return error.message, _key_advice(service)
    if isinstance(error, TransportError) and error.status is not None:
        return error.message, rule_for_refusal(error.status).advice
    return error.message, network_advice(error, url, platform)


def _key_advice(service: Service) -> str:
    if service.key is None:
        return "set the key of this service: VAGENT_SERVICE_KEY"
    return "check the key in the dashboard of the service; `key` shows its source"


def network_advice(error: BaseException, url: str, platform: Platform) -> str:
    """Returns the fix for a connection that failed with this error."""
    proxy = proxy_for(url)
    host = urlsplit(url).hostname or url
    causes = list(_causes(error))
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in causes):
        return (
            f"{platform.command('set clock')}  "
            "# if the clock is wrong; if a proxy opens TLS: "
            + platform.set_variable("SSL_CERT_FILE", "ITS-CERTIFICATE.pem")
        )
    if proxy is not None:
        return f"check that the proxy {without_credentials(proxy)} lets {host} through"
    if any(isinstance(each, socket.gaierror) for each in causes):
        return f"check the network: the name {host} cannot be resolved"
    if is_this_machine(host):
        return "start the server there, or correct the address"
    return f"check the network, and that a firewall lets {host} through"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _reason(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    return str(error) or type(error).__name__


# ----------------------------------------------------------------------- test session


class Refused(Exception):
    """The service answered, but did not open a session.

    `code` is the code of its error, `close_code` that of the closing frame; at most one
    of them is set.
    """

    def __init__(
        self, text: str, *, code: str | None = None, close_code: int | None = None
    ) -> None:
        super().__init__(text)
        self.code = code
        self.close_code = close_code


async def open_test_session(dial: Dial, seconds: float) -> float:
    """Opens a session and ends it; returns the seconds until it was ready.

    Raises:
        Refused: the service closed the connection or sent an error.
        VagentError: no connection, or no session after `seconds`.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    listener = _Listener(loop.create_future())
    try:
        async with asyncio.timeout(seconds):
            await dial(None, listener)
            await listener.outcome
    except TimeoutError as error:
        what = "opened no session" if listener.transport else "did not answer"
        raise TransportError(f"the service {what} within {seconds:g} s") from error
    finally:
        if listener.transport is not None:
            listener.transport.write(encode(SessionEnd()))
            await listener.transport.close()
    return loop.time() - began


class _Listener:
    """Sends session.update once connected; `outcome` is set by the answer."""

    def __init__(self, outcome: asyncio.Future[None]) -> None:
        self.outcome = outcome
        self.transport: Transport | None = None  # set once connected

    def opened(self, transport: Transport) -> None:
        self.transport = transport
        transport.write(encode(SessionUpdate(_SESSION)))

    def received(self, text: str | bytes) -> None:
        if self.outcome.done():
            return
        try:
            message = decode_server(text)
        except RemoteProtocolError as error:
            self.outcome.set_exception(error)
            return
        match message:
            case SessionReady():
                self.outcome.set_result(None)
            case SessionError(code=code, message=reason):
                detail = f"{reason} ({code})" if reason else code
                self.outcome.set_exception(Refused(detail, code=code))
            case _:
                pass  # session.updated, and messages that are not known yet

    def writable(self) -> None: ...

    def lost(self, error: ConnectionLost) -> None:
        if not self.outcome.done():
            refused = Refused(error.message, close_code=error.code)
            self.outcome.set_exception(refused)
