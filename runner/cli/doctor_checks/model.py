"""Options and results of the checks, and the commands that fix this platform."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal, TypeAlias

from runner.config.files import load_environment
from runner.errors import FileUnreadable

Installer: TypeAlias = Literal["pip", "uv", "pipx", "uv tool"]
Purpose: TypeAlias = Literal[
    "reach sound server", "set clock", "unmute microphone", "write unicode"
]
# The commands for a purpose by Linux distribution or system; "" is any other system.
_COMMANDS: Mapping[Purpose, Mapping[str, str]] = {
    # The plugin of ALSA that connects PortAudio to PulseAudio or PipeWire.
    "reach sound server": {
        "debian": "sudo apt install libasound2-plugins",
        "ubuntu": "sudo apt install libasound2-plugins",
        "fedora": "sudo dnf install alsa-plugins-pulseaudio",
        "rhel": "sudo dnf install alsa-plugins-pulseaudio",
        "suse": "sudo zypper install alsa-plugins-pulse",
        "arch": "sudo pacman -S alsa-plugins",
        "alpine": "sudo apk add alsa-plugins-pulse",
    },
    "set clock": {
        "darwin": "sudo sntp -sS time.apple.com",
        "win32": "w32tm /resync",
        "alpine": "sudo apk add chrony && sudo rc-service chronyd start",
        "": "sudo timedatectl set-ntp true",
    },
    "unmute microphone": {
        "darwin": "open 'x-apple.systempreferences:"
        "com.apple.preference.security?Privacy_Microphone'",
        "win32": "start ms-settings:privacy-microphone",
        "": "pactl set-source-mute @DEFAULT_SOURCE@ 0",
    },
    "write unicode": {"win32": "chcp 65001", "": "export LANG=C.UTF-8"},
}
# The commands that install vagent with an extra, and packages into its environment; the
# option that reinstalls packages, and the separator between them.
_INSTALL: Mapping[Installer, tuple[str, str, str, str]] = {
    "pip": ("{} -m pip install ", "{} -m pip install ", "--force-reinstall ", " "),
    "uv": (
        "uv pip install --python {} ",
        "uv pip install --python {} ",
        "--reinstall ",
        " ",
    ),
    "pipx": ("pipx install --force ", "pipx inject --force vagent ", "", " "),
    "uv tool": (
        "uv tool install --force ",
        "uv tool install --force vagent --with ",
        "",
        " --with ",
    ),
}


class State(Enum):
    """The outcome of a check; the value is its text in `--json`."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"  # not requested, or not needed


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the report.

    `fix` is the command that fixes it on this machine, or an instruction; a skipped
    check has one too if there is a way to enable it.
    """

    name: str
    state: State
    detail: str
    fix: str | None = None

    def redacted(self, redact: Callable[[str], str]) -> CheckResult:
        """Returns a copy with the secrets removed."""
        fix = None if self.fix is None else redact(self.fix)
        return CheckResult(self.name, self.state, redact(self.detail), fix)

    def as_object(self) -> Mapping[str, str | None]:
        """Returns the object for `--json`; its fields are stable."""
        return {
            "type": "vagent.check",
            "name": self.name,
            "state": self.state.value,
            "detail": self.detail,
            "fix": self.fix,
        }


def passed(name: str, detail: str) -> CheckResult:
    """Returns the result of a check that passed."""
    return CheckResult(name, State.OK, detail)


def failed(name: str, detail: str, fix: str | None) -> CheckResult:
    """Returns the result of a check that failed, with its fix."""
    return CheckResult(name, State.FAILED, detail, fix)


def skipped(name: str, detail: str, fix: str | None = None) -> CheckResult:
    """Returns the result of a check that was not requested or not needed."""
    return CheckResult(name, State.SKIPPED, detail, fix)


@dataclass(frozen=True, slots=True)
class TerminalInfo:
    """The stdout of the command; read in the command itself, not in its child."""

    is_terminal: bool = False
    columns: int = 80
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """The options of the command line.

    `environment` is that of the process, `folder` the folder of the `.env` file, and
    `ports` are the ports that must be free. Without `audio` nothing is played, and a
    machine without a sound card passes.
    """

    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    agent: Path | None = None
    service: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    online: bool = False
    audio: bool = True
    input_device: str | None = None
    output_device: str | None = None
    ports: tuple[int, ...] = ()
    terminal: TerminalInfo = TerminalInfo()

    def effective_environment(self) -> Mapping[str, str]:
        """Returns the environment of a run; an unreadable `.env` file is ignored."""
        try:
            return load_environment(self.folder, self.environment)
        except (FileUnreadable, ImportError):  # python-dotenv can be the broken package
            return self.environment


@dataclass(frozen=True, slots=True)
class Platform:
    """The facts that determine which commands work on a machine.

    `system` is `sys.platform`, `distributions` the ids of a Linux distribution, its own
    first, then those it is derived from; `installer` installed vagent into the
    environment of the interpreter `python`.
    """

    system: str
    distributions: tuple[str, ...] = ()
    installer: Installer = "pip"
    python: str = "python"

    def command(self, purpose: Purpose) -> str | None:
        """Returns the command for a purpose; None if the system has none."""
        commands = _COMMANDS[purpose]
        names = (*self.distributions, self.system, "")
        return next((commands[name] for name in names if name in commands), None)

    def install_extra(self, extra: str) -> str:
        """Returns the command that installs an extra of vagent."""
        command = _INSTALL[self.installer][0].format(self._quoted(self.python))
        return command + self._quoted(f"vagent[{extra}]")

    def install(self, *requirements: str, reinstall: bool = False) -> str:
        """Returns the command that installs packages into the environment of vagent.

        With `reinstall`, also packages that are installed but do not work.
        """
        _, command, option, separator = _INSTALL[self.installer]
        packages = separator.join(map(self._quoted, requirements))
        command = command.format(self._quoted(self.python))
        return f"{command}{option if reinstall else ''}{packages}"

    def set_variable(self, name: str, value: str) -> str:
        """Returns the command that sets an environment variable."""
        if self.system == "win32":
            return f'$env:{name} = "{value}"'
        return f"export {name}={value}"

    def _quoted(self, word: str) -> str:
        quote = '"' if self.system == "win32" else "'"
        return f"{quote}{word}{quote}" if set(word) & set("[]<>= ") else word


def this_platform() -> Platform:
    """Returns the platform of this process."""
    distributions: tuple[str, ...] = ()
    if sys.platform.startswith("linux"):
        try:
            release = platform.freedesktop_os_release()
        except OSError:
            release = {}
        # The ids go from special to general: openSUSE is like "opensuse suse".
        like = release.get("ID_LIKE", "").split()
        distributions = tuple(filter(None, [release.get("ID", ""), *like]))
    return Platform(
        sys.platform, distributions, installer_of(sys.prefix), sys.executable
    )


def installer_of(prefix: str) -> Installer:
    """Returns the installer of the environment at this path."""
    path = prefix.replace("\\", "/").lower()
    if "/pipx/venvs/" in path:
        return "pipx"
    if "/uv/tools/" in path:
        return "uv tool"
    has_pip = importlib.util.find_spec("pip") is not None
    return "pip" if has_pip or not shutil.which("uv") else "uv"
