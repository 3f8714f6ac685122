"""Python and the packages: whether they are there, new enough, and can be loaded."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata

from runner.doctor.findings import Finding, failed, passed, skipped
from runner.doctor.platforms import Platform, this_platform
from runner.doctor.wishes import Wishes

_OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Package:
    """A distribution, the module that shows it works, and the oldest that will do.

    `module` is None where loading it is a check of its own.
    """

    name: str
    oldest: str
    module: str | None
    below: str | None = None  # the first version that is too new
    systems: tuple[str, ...] = ()  # where it exists; without any, everywhere


REQUIRED = (
    Package("websockets", "15.0", "websockets.asyncio.client"),
    Package("sounddevice", "0.5", None),  # it loads PortAudio
    Package("numpy", "1.26", "numpy"),
    Package("pyyaml", "6.0.1", "yaml"),
    Package("jsonschema", "4.21", "jsonschema"),
    Package("typer", "0.15", "typer", below="0.29"),
    Package("rich", "13.7", "rich"),
    Package("httpx", "0.27", "httpx"),
    Package("platformdirs", "4.2", "platformdirs"),
    Package("filelock", "3.12", "filelock"),
    Package("python-dotenv", "1.0", "dotenv"),
    Package("soxr", "0.5", "soxr"),
    Package("soundfile", "0.12", "soundfile"),
    Package("prometheus-client", "0.20", "prometheus_client"),
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
_GAINS = {
    "echo": "echo cancellation, for a microphone near a loudspeaker",
    "local": "speech and a language model on this machine",
    "fast": "less CPU for a call",
    "otel": "traces of calls",
}

# Gives the version of a distribution, None where it is not installed.
Versions = Callable[[str], str | None]
Load = Callable[[str], object]


def check_python(wishes: Wishes) -> Iterator[Finding]:
    """Look at the Python that runs this."""
    del wishes
    version = platform.python_version()
    detail = f"{version} ({platform.python_implementation()}), {sys.executable}"
    if sys.version_info >= _OLDEST_PYTHON:
        yield passed("python", detail)
    else:
        wanted = ".".join(map(str, _OLDEST_PYTHON))
        yield failed("python", f"{detail}: too old", f"install Python {wanted}")


def check_required(wishes: Wishes) -> Iterator[Finding]:
    """Look at what vagent cannot do without."""
    del wishes
    yield judge_required(installed_version, importlib.import_module, this_platform())


def check_desk(wishes: Wishes) -> Iterator[Finding]:
    """Check the echo extra."""
    del wishes
    yield _judge_here("echo")


def check_local(wishes: Wishes) -> Iterator[Finding]:
    """Look at the local extra, which the embedded server cannot do without."""
    # It reads agent files, with packages that this is about.
    from runner.doctor.surroundings import service_of

    service = service_of(wishes)
    yield _judge_here("local", needed=service is None or service.url is None)


def check_fast(wishes: Wishes) -> Iterator[Finding]:
    """Look at the fast extra."""
    del wishes
    yield _judge_here("fast")


def check_otel(wishes: Wishes) -> Iterator[Finding]:
    """Look at the otel extra."""
    del wishes
    yield _judge_here("otel")


def judge_required(versions: Versions, load: Load, platform: Platform) -> Finding:
    """Judge all packages that are needed always, in one line."""
    return _judge("packages", REQUIRED, versions, load, platform)


def judge_extra(
    extra: str,
    versions: Versions,
    load: Load,
    platform: Platform,
    *,
    needed: bool = False,
) -> Finding:
    """Judge an extra: none of it is fine unless it is needed, half of it never is."""
    name = f"extra-{extra}"
    wanted = _of(EXTRAS[extra], platform)
    fix = platform.install_extra(extra)
    if not any(versions(each.name) for each in wanted):
        detail = f"not installed: {_GAINS[extra]}"
        return failed(name, detail, fix) if needed else skipped(name, detail, fix)
    return _judge(name, wanted, versions, load, platform, fix)


def installed_version(name: str) -> str | None:
    """Return the version of a distribution, None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _judge_here(extra: str, *, needed: bool = False) -> Finding:
    load = importlib.import_module
    here = this_platform()
    return judge_extra(extra, installed_version, load, here, needed=needed)


def _judge(
    name: str,
    packages: Iterable[Package],
    versions: Versions,
    load: Load,
    platform: Platform,
    fix: str | None = None,
) -> Finding:
    good: list[str] = []
    bad: list[str] = []
    mending: list[str] = []
    is_broken = False
    for each in packages:
        version = versions(each.name)
        problem = _problem(each, version, load)
        if problem is None:
            good.append(f"{each.name} {version}")
        else:
            bad.append(f"{each.name} {problem}")
            mending.append(_requirement(each))
            is_broken |= version is not None
    if bad:
        command = fix or platform.install(*mending, again=is_broken)
        return failed(name, "; ".join(bad), command)
    return passed(name, ", ".join(good))


def _problem(package: Package, version: str | None, load: Load) -> str | None:
    if version is None:
        return "is not installed"
    if _order(version) < _order(package.oldest):
        return f"{version} is too old: {package.oldest} or later"
    if package.below and _order(version) >= _order(package.below):
        return f"{version} is too new: before {package.below}"
    if package.module is None:
        return None
    try:
        load(package.module)
    except (ImportError, OSError) as error:
        # A wheel whose system library is missing raises OSError.
        return f"{version} cannot be loaded: {' '.join(str(error).split())}"
    return None


def _requirement(package: Package) -> str:
    below = f",<{package.below}" if package.below else ""
    return f"{package.name}>={package.oldest}{below}"


def _of(packages: Iterable[Package], platform: Platform) -> list[Package]:
    return [
        each
        for each in packages
        if not each.systems or platform.system.startswith(each.systems)
    ]


def _order(version: str) -> tuple[int, ...]:
    """Return what versions are compared by: the numbers up to the first word."""
    numbers: list[int] = []
    for part in version.split("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:  # 2.0rc1
            break
    return tuple(numbers)
