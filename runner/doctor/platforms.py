"""Which commands do a thing on this machine: systems and distributions differ."""

from __future__ import annotations

import importlib.util
import platform
import shlex
import shutil
import sys
from dataclasses import dataclass

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
    to what it is like; `installer` is what brings packages into this Python.
    """

    system: str
    distributions: tuple[str, ...] = ()
    installer: str = "pip install"

    def install(self, *requirements: str) -> str:
        """Return the command that installs packages where vagent is."""
        quote = '"' if self.system == "win32" else "'"
        words = [
            f"{quote}{each}{quote}" if set(each) & set("[]<>= ") else each
            for each in requirements
        ]
        return f"{self.installer} {' '.join(words)}"

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
    return Platform(sys.platform, distributions, _installer(sys.prefix))


def _installer(prefix: str) -> str:
    """Return what this environment's packages are installed with."""
    place = prefix.replace("\\", "/").lower()
    if "/pipx/venvs/" in place:
        return "pipx install --force"
    if "/uv/tools/" in place:
        return "uv tool install --force"
    python = shlex.quote(sys.executable) if sys.platform != "win32" else sys.executable
    if importlib.util.find_spec("pip") is None and shutil.which("uv"):
        return f"uv pip install --python {python}"
    return f"{python} -m pip install"
