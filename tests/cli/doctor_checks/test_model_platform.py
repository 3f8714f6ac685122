from __future__ import annotations

import sys

import pytest

from runner.cli.doctor_checks.model import (
    Installer,
    Platform,
    installer_of,
    this_platform,
)

LINUXES = ("debian", "fedora", "arch", "alpine", "rhel", "suse", "ubuntu")


def test_requirements_are_quoted_for_the_shell() -> None:
    linux, windows = Platform("linux"), Platform("win32", python=r"C:\My Tools\py.exe")

    assert linux.install_extra("echo") == "python -m pip install 'vagent[echo]'"
    assert linux.install("numpy") == "python -m pip install numpy"
    assert windows.install_extra("echo") == (
        r'"C:\My Tools\py.exe" -m pip install "vagent[echo]"'
    )


@pytest.mark.parametrize(
    ("installer", "extra", "again"),
    [
        ("pip", "python -m pip install", "python -m pip install --force-reinstall"),
        (
            "uv",
            "uv pip install --python python",
            "uv pip install --python python --reinstall",
        ),
        ("pipx", "pipx install --force", "pipx inject --force vagent"),
        (
            "uv tool",
            "uv tool install --force",
            "uv tool install --force vagent --with",
        ),
    ],
)
def test_packages_are_installed_by_the_installer_of_vagent(
    installer: Installer, extra: str, again: str
) -> None:
    here = Platform("linux", installer=installer)

    assert here.install_extra("fast") == f"{extra} 'vagent[fast]'"
    assert here.install("soxr>=0.5", reinstall=True) == f"{again} 'soxr>=0.5'"


def test_the_installer_is_found_by_the_path() -> None:
    assert installer_of("/home/a/.local/pipx/venvs/vagent") == "pipx"
    assert installer_of(r"C:\Users\a\AppData\uv\tools\vagent") == "uv tool"
    assert installer_of("/home/a/venv") in ("pip", "uv")


def test_variables_are_set_in_the_syntax_of_the_shell() -> None:
    assert Platform("linux").set_variable("A", "b") == "export A=b"
    assert Platform("win32").set_variable("A", "b") == '$env:A = "b"'


@pytest.mark.parametrize("name", LINUXES)
def test_each_distribution_has_its_command_for_the_sound_server(name: str) -> None:
    command = Platform("linux", (name,)).command("reach sound server")

    assert command is not None
    assert command.startswith("sudo ")


def test_a_derived_distribution_uses_the_commands_of_its_parent() -> None:
    mint = Platform("linux", ("linuxmint", "ubuntu", "debian"))

    assert mint.command("reach sound server") == "sudo apt install libasound2-plugins"
    assert Platform("linux", ("haiku",)).command("reach sound server") is None
    assert Platform("darwin").command("reach sound server") is None


@pytest.mark.parametrize(
    ("system", "clock", "microphone", "unicode"),
    [
        ("linux", "sudo timedatectl", "pactl set-source-mute", "export LANG="),
        ("darwin", "sudo sntp", "open 'x-apple.systempreferences:", "export LANG="),
        ("win32", "w32tm /resync", "start ms-settings:privacy", "chcp 65001"),
    ],
)
def test_each_system_has_its_own_commands(
    system: str, clock: str, microphone: str, unicode: str
) -> None:
    here = Platform(system)

    assert (here.command("set clock") or "").startswith(clock)
    assert (here.command("unmute microphone") or "").startswith(microphone)
    assert (here.command("write unicode") or "").startswith(unicode)


def test_alpine_has_no_systemd() -> None:
    assert "chrony" in (Platform("linux", ("alpine",)).command("set clock") or "")


def test_this_platform_has_the_running_python() -> None:
    here = this_platform()

    assert here.system == sys.platform
    assert here.python == sys.executable
