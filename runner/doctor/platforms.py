"""Which commands do a thing on this machine: systems and distributions differ."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from dataclasses import dataclass
from typing import Literal, TypeAlias

Installer: TypeAlias = Literal["pip", "uv", "pipx", "uv tool"]

# What lets PortAudio's ALSA reach a PulseAudio or PipeWire server.
_PULSE_PLUGINS = {
    "debian": "sudo apt install libasound2-plugins",
    "ubuntu": "sudo apt install libasound2-plugins",
    "fedora": "sudo dnf install alsa-plugins-pulseaudio",
    "rhel": "sudo dnf install alsa-plugins-pulseaudio",
    "suse": "sudo zypper install alsa-plugins-pulse",
    "arch": "sudo pacman -S alsa-plugins",
    "alpine": "sudo apk add alsa-plugins-pulse",
}


@dataclass(frozen=True, slots=True)
class Platform:
    """What decides about commands.

    `system` is that of `sys.platform`, `distributions` the ids of a Linux from its own
    to what it is like; `installer` is what brought vagent into its environment, and
    `python` the one that it runs on.
    """

    system: str
    distributions: tuple[str, ...] = ()
    installer: Installer = "pip"
    python: str = "python"

    def install_extra(self, extra: str) -> str:
        """Return the command that installs an extra of vagent's."""
        wanted = self._quoted(f"vagent[{extra}]")
        match self.installer:
            case "pipx":
                return f"pipx install --force {wanted}"
            case "uv tool":
                return f"uv tool install --force {wanted}"
            case _:
                return f"{self._pip()} {wanted}"

    def install(self, *requirements: str, again: bool = False) -> str:
        """Return the command that installs packages beside vagent.

        With `again`, also where such a version is there but does not work.
        """
        wanted = " ".join(self._quoted(each) for each in requirements)
        match self.installer:
            case "pipx":
                return f"pipx inject --force vagent {wanted}"
            case "uv tool":
                added = wanted.replace(" ", " --with ")
                return f"uv tool install --force vagent --with {added}"
            case "uv":
                return f"{self._pip()} {'--reinstall ' if again else ''}{wanted}"
            case "pip":
                return f"{self._pip()} {'--force-reinstall ' if again else ''}{wanted}"

    def _pip(self) -> str:
        python = self._quoted(self.python)
        if self.installer == "uv":
            return f"uv pip install --python {python}"
        return f"{python} -m pip install"

    def _quoted(self, word: str) -> str:
        quote = '"' if self.system == "win32" else "'"
        return f"{quote}{word}{quote}" if set(word) & set("[]<>= ") else word

    def set_variable(self, name: str, value: str) -> str:
        """Return the command that sets an environment variable."""
        if self.system == "win32":
            return f'$env:{name} = "{value}"'
        return f"export {name}={value}"

    def reach_sound_server(self) -> str | None:
        """Return what lets ALSA reach PulseAudio; None where that is not how it is."""
        found = (_PULSE_PLUGINS.get(name) for name in self.distributions)
        return next((each for each in found if each), None)

    def unmute_microphone(self) -> str:
        """Return what lets a silent microphone be heard."""
        if self.system == "darwin":
            pane = "com.apple.preference.security?Privacy_Microphone"
            return f"open 'x-apple.systempreferences:{pane}'"
        if self.system == "win32":
            return "start ms-settings:privacy-microphone"
        return "pactl set-source-mute @DEFAULT_SOURCE@ 0"

    def set_clock(self) -> str:
        """Return what sets the clock by the network."""
        if self.system == "darwin":
            return "sudo sntp -sS time.apple.com"
        if self.system == "win32":
            return "w32tm /resync"
        if "alpine" in self.distributions:
            return "sudo apk add chrony && sudo rc-service chronyd start"
        return "sudo timedatectl set-ntp true"

    def write_unicode(self) -> str:
        """Return what lets a terminal show every character."""
        return "chcp 65001" if self.system == "win32" else "export LANG=C.UTF-8"


def this_platform() -> Platform:
    """Return the one that this is."""
    distributions: tuple[str, ...] = ()
    if sys.platform.startswith("linux"):
        try:
            release = platform.freedesktop_os_release()
        except OSError:
            release = {}
        like = release.get("ID_LIKE", "").split()
        # A family is named by its head: openSUSE's is "opensuse suse".
        distributions = tuple(filter(None, [release.get("ID", ""), *like]))
    return Platform(
        sys.platform, distributions, installer_of(sys.prefix), sys.executable
    )


def installer_of(prefix: str) -> Installer:
    """Return what installs into the environment at this path."""
    place = prefix.replace("\\", "/").lower()
    if "/pipx/venvs/" in place:
        return "pipx"
    if "/uv/tools/" in place:
        return "uv tool"
    has_pip = importlib.util.find_spec("pip") is not None
    return "pip" if has_pip or not shutil.which("uv") else "uv"
