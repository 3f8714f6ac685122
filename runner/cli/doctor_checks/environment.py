"""Checks Python, its packages, the terminal and the clock."""

from __future__ import annotations

import codecs
import importlib
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import metadata

from runner.cli.doctor_checks.model import (
    CheckResult,
    DoctorOptions,
    Platform,
    TerminalInfo,
    failed,
    passed,
    skipped,
    this_platform,
)
from runner.cli.reports.common import wants_color

_MIN_PYTHON = (3, 11)
_MARKS = "✓✗–→"
_MIN_CHAT_COLUMNS = 40
# Not before this was written, and not after the end of certificates.
_YEARS = range(2025, 2100)
# Certificates accept it, and temporary tokens, which are valid for a minute or more.
_MAX_CLOCK_ERROR_SECONDS = 30.0


# ----------------------------------------------------------------- Python and packages


@dataclass(frozen=True, slots=True)
class Package:
    """A distribution, the module that shows that it works, and its minimum version.

    `module` is None if another check loads it.
    """

    name: str
    minimum: str
    module: str | None
    below: str | None = None  # the first version that is too new
    systems: tuple[str, ...] = ()  # the systems that have it; empty: all


REQUIRED = (
    Package("websockets", "17.0", "websockets.asyncio.client"),
    Package("sounddevice", "0.5", None),  # it loads PortAudio
    Package("numpy", "1.26", "numpy"),
    Package("pyyaml", "6.0.1", "yaml"),
    Package("jsonschema", "4.21", "jsonschema"),
    Package("pydantic", "2.9", "pydantic"),
    Package("typing-extensions", "4.12", "typing_extensions"),
    Package("typer", "0.15", "typer", below="0.29"),
    Package("rich", "13.7", "rich"),
    Package("httpx", "0.27", "httpx"),
    Package("h11", "0.14", "h11"),
    Package("platformdirs", "4.2", "platformdirs"),
    Package("filelock", "3.12", "filelock"),
    Package("python-dotenv", "1.0", "dotenv"),
    Package("soxr", "0.5", "soxr"),
    Package("soundfile", "0.12", "soundfile"),
    Package("prometheus-client", "0.20", "prometheus_client"),
    Package("psutil", "5.9", "psutil"),
    Package("pebble", "5.1", "pebble"),
    Package("google-re2", "1.1.20240702", "re2"),
    Package("regex", "2024.5.15", "regex"),
)
EXTRAS: Mapping[str, tuple[Package, ...]] = {
    "echo": (Package("pywebrtc-audio", "0.2", "pywebrtc_audio"),),
    "local": (
        Package("ctranslate2", "4.5", "ctranslate2"),
        Package("tokenizers", "0.20", "tokenizers"),
        Package("onnxruntime", "1.19", "onnxruntime"),
        Package("xllamacpp", "2026.5", "xllamacpp"),
        Package("piper-tts", "1.3", "piper"),
    ),
    "serve": (
        Package("starlette", "0.45", "starlette.applications"),
        Package("uvicorn", "0.36", "uvicorn"),
    ),
    "fast": (
        Package("picows", "2.3", "picows"),
        Package("uvloop", "0.21", "uvloop", systems=("linux", "darwin")),
    ),
    "otel": (
        Package("opentelemetry-sdk", "1.27", "opentelemetry.sdk.trace"),
        Package(
            "opentelemetry-exporter-otlp-proto-http",
            "1.27",
            "opentelemetry.exporter.otlp.proto.http.trace_exporter",
        ),
    ),
}
_PURPOSES = {
    "echo": "echo cancellation, for a microphone next to a loudspeaker",
    "local": "speech and a language model on this machine",
    "serve": "agents on web pages",
    "fast": "less CPU for a call",
    "otel": "traces of calls",
}

# Returns the version of a distribution, None if it is not installed.
Versions = Callable[[str], str | None]
Load = Callable[[str], object]


def check_python(options: DoctorOptions) -> Iterator[CheckResult]:
    """Checks the version of the running Python."""
    del options
    version = platform.python_version()
    detail = f"{version} ({platform.python_implementation()}), {sys.executable}"
    if sys.version_info >= _MIN_PYTHON:
        yield passed("python", detail)
    else:
        minimum = ".".join(map(str, _MIN_PYTHON))
        yield failed("python", f"{detail}: too old", f"install Python {minimum}")


def check_required(options: DoctorOptions) -> Iterator[CheckResult]:
    """Checks the packages that vagent requires."""
    del options
    yield judge_required(installed_version, importlib.import_module, this_platform())


def check_extra(options: DoctorOptions, extra: str) -> Iterator[CheckResult]:
    """Checks the packages of an extra; the local service requires `local`."""
    is_needed = False
    if extra == "local":
        # It reads agent files with packages that this check is about.
        from runner.cli.doctor_checks.context import uses_local_service

        is_needed = uses_local_service(options)
    load, here = importlib.import_module, this_platform()
    yield judge_extra(extra, installed_version, load, here, is_needed=is_needed)


def judge_required(versions: Versions, load: Load, platform: Platform) -> CheckResult:
    """Returns one result for all required packages."""
    return _judge_packages("packages", REQUIRED, versions, load, platform)


def judge_extra(
    extra: str,
    versions: Versions,
    load: Load,
    platform: Platform,
    *,
    is_needed: bool = False,
) -> CheckResult:
    """Returns the result of an extra; an incomplete one fails.

    A missing one fails only if it `is_needed`.
    """
    name = f"extra-{extra}"
    packages = [
        each
        for each in EXTRAS[extra]
        if not each.systems or platform.system.startswith(each.systems)
    ]
    fix = platform.install_extra(extra)
    if not any(versions(each.name) for each in packages):
        detail = f"not installed: {_PURPOSES[extra]}"
        return (failed if is_needed else skipped)(name, detail, fix)
    return _judge_packages(name, packages, versions, load, platform, fix)


def installed_version(name: str) -> str | None:
    """Returns the version of a distribution, None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _judge_packages(
    name: str,
    packages: Iterable[Package],
    versions: Versions,
    load: Load,
    platform: Platform,
    fix: str | None = None,
) -> CheckResult:
    installed = {each: versions(each.name) for each in packages}
    problems = {
        each: problem
        for each, version in installed.items()
        if (problem := _problem(each, version, load))
    }
    if not problems:
        return passed(
            name, ", ".join(f"{each.name} {installed[each]}" for each in installed)
        )
    requirements = [
        f"{each.name}>={each.minimum}" + (f",<{each.below}" if each.below else "")
        for each in problems
    ]
    is_broken = any(installed[each] is not None for each in problems)
    return failed(
        name,
        "; ".join(f"{each.name} {problem}" for each, problem in problems.items()),
        fix or platform.install(*requirements, reinstall=is_broken),
    )


def _problem(package: Package, version: str | None, load: Load) -> str | None:
    if version is None:
        return "is not installed"
    if _numbers(version) < _numbers(package.minimum):
        return f"{version} is too old: {package.minimum} or later"
    if package.below and _numbers(version) >= _numbers(package.below):
        return f"{version} is too new: before {package.below}"
    if package.module is None:
        return None
    try:
        load(package.module)
    except (ImportError, OSError) as error:
        # A wheel raises OSError if its system library is missing.
        return f"{version} cannot be loaded: {' '.join(str(error).split())}"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """Returns the numbers of a version up to its first word, for comparisons."""
    numbers: list[int] = []
    for part in version.split("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:  # 2.0rc1
            break
    return tuple(numbers)


# --------------------------------------------------------------------------- terminal


def check_terminal(options: DoctorOptions) -> Iterator[CheckResult]:
    """Checks the terminal of the command."""
    yield judge_terminal(options.terminal, options.environment, this_platform())


def judge_terminal(
    terminal: TerminalInfo, environment: Mapping[str, str], platform: Platform
) -> CheckResult:
    """Returns a failure only for a terminal that cannot show every character."""
    if not terminal.is_terminal:
        return skipped("terminal", "stdout is not a terminal: plain lines, no colors")
    parts = [
        f"{terminal.columns} columns",
        environment.get("TERM") or "no TERM",
        terminal.encoding,
        "colors" if has_color(terminal, environment) else "no colors",
    ]
    if environment.get("SSH_CONNECTION"):
        parts.append("over ssh")
    parts.append(f"so calls are shown as {view_of(terminal, environment)}")
    detail = ", ".join(parts)
    if can_show(_MARKS, terminal.encoding):
        return passed("terminal", detail)
    detail += ": cannot show every character"
    return failed("terminal", detail, platform.command("write unicode"))


def view_of(terminal: TerminalInfo, environment: Mapping[str, str]) -> str:
    """Returns the default view of `vagent run` on such a terminal."""
    is_dumb = environment.get("TERM", "") in ("dumb", "unknown")
    is_wide = terminal.columns >= _MIN_CHAT_COLUMNS
    return "chat" if terminal.is_terminal and is_wide and not is_dumb else "wire"


def has_color(terminal: TerminalInfo, environment: Mapping[str, str]) -> bool:
    """Returns True if lines are colored, by the conventions of the environment."""
    return wants_color("auto", environment, is_terminal=terminal.is_terminal)


def has_marks(terminal: TerminalInfo, environment: Mapping[str, str]) -> bool:
    """Returns True if lines can begin with ✓ and ✗ instead of ASCII words."""
    return environment.get("TERM") != "dumb" and can_show(_MARKS, terminal.encoding)


def can_show(text: str, encoding: str) -> bool:
    """Returns True if an encoding has all these characters; an unknown one has none."""
    try:
        codecs.encode(text, encoding)
    except (LookupError, UnicodeError):
        return False
    return True


# ------------------------------------------------------------------------------ clock


def check_clock(options: DoctorOptions) -> Iterator[CheckResult]:
    """Checks the clocks of this machine, on which certificates and timeouts rely."""
    del options
    before = time.monotonic()
    now = datetime.now(UTC)
    yield judge_clock(now, time.monotonic() - before, this_platform())


def judge_clock(now: datetime, elapsed: float, platform: Platform) -> CheckResult:
    """Returns the result for a date and the seconds that a monotonic clock counted."""
    shown = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if now.year not in _YEARS:
        fix = platform.command("set clock")
        return failed("clock", f"{shown} cannot be right", fix)
    if elapsed < 0:
        detail = "the monotonic clock ran backwards: the machine is faulty"
        return failed("clock", detail, "update the system or its hypervisor")
    return passed("clock", shown)


def judge_date(date: str | None, now: datetime, platform: Platform) -> CheckResult:
    """Returns the result for `now` and the Date header of the service."""
    name = "clock-online"
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return skipped(name, "the service sends no date")
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    error = (now - theirs).total_seconds()
    # The header has whole seconds.
    if abs(error) <= _MAX_CLOCK_ERROR_SECONDS:
        return passed(name, f"within {max(1.0, abs(error)):.0f} s of the service's")
    direction = "ahead of" if error > 0 else "behind"
    detail = f"{abs(error):,.0f} s {direction} the service's"
    return failed(name, detail, platform.command("set clock"))
