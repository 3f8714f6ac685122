from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from runner.cli.doctor_checks.environment import (
    EXTRAS,
    REQUIRED,
    Package,
    check_python,
    installed_version,
    judge_extra,
    judge_required,
)
from runner.cli.doctor_checks.model import DoctorOptions, Platform, State

DEBIAN = Platform("linux", ("debian",))
NOTHING: dict[str, str] = {}
ALL = {each.name: each.minimum for each in REQUIRED}
LOCAL = {each.name: each.minimum for each in EXTRAS["local"]}
PROJECT = tomllib.loads(
    (Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8")
)["project"]


def loads(module: str) -> object:
    return module


def spell(package: Package) -> str:
    below = f",<{package.below}" if package.below else ""
    return f"{package.name}>={package.minimum}{below}"


def test_the_tables_equal_the_declared_dependencies() -> None:
    extras = PROJECT["optional-dependencies"]
    declared = {
        name: [each.partition(";")[0].strip() for each in extras[name]]
        for name in extras
    }

    assert [spell(each) for each in REQUIRED] == [
        re.sub(r"\s", "", each) for each in PROJECT["dependencies"]
    ]
    assert {name: [spell(each) for each in EXTRAS[name]] for name in EXTRAS} == declared


def test_versions_of_installed_packages_are_shown() -> None:
    result = judge_required({**ALL, "numpy": "2.4.6"}.get, loads, DEBIAN)

    assert result.state is State.OK
    assert "websockets 17.0, sounddevice 0.5, numpy 2.4.6" in result.detail


@pytest.mark.parametrize(
    ("name", "version", "detail", "fix"),
    [
        ("httpx", None, "httpx is not installed", "'httpx>=0.27'"),
        (
            "websockets",
            "14.2",
            "websockets 14.2 is too old: 17.0 or later",
            "--force-reinstall 'websockets>=17.0'",
        ),
        (
            "typer",
            "0.30.1",
            "typer 0.30.1 is too new: before 0.29",
            "--force-reinstall 'typer>=0.15,<0.29'",
        ),
    ],
)
def test_a_wrong_version_has_the_command(
    name: str, version: str | None, detail: str, fix: str
) -> None:
    versions = {key: value for key, value in ALL.items() if key != name}
    if version:
        versions[name] = version
    result = judge_required(versions.get, loads, DEBIAN)

    assert (result.state, result.detail) == (State.FAILED, detail)
    assert result.fix == f"python -m pip install {fix}"


@pytest.mark.parametrize("error", [ImportError, OSError])
def test_a_package_that_cannot_be_loaded_has_the_reason(error: type[Exception]) -> None:
    def load(module: str) -> object:
        if module == "soundfile":
            raise error("libsndfile.so:\n cannot open")
        return module

    result = judge_required(ALL.get, load, DEBIAN)

    assert result.state is State.FAILED
    assert result.detail == (
        "soundfile 0.12 cannot be loaded: libsndfile.so: cannot open"
    )
    assert result.fix == "python -m pip install --force-reinstall 'soundfile>=0.12'"


def test_a_missing_extra_fails_only_if_it_is_needed() -> None:
    spare = judge_extra("local", NOTHING.get, loads, DEBIAN)
    needed = judge_extra("local", NOTHING.get, loads, DEBIAN, is_needed=True)

    assert (spare.state, needed.state) == (State.SKIPPED, State.FAILED)
    assert spare.fix == needed.fix == "python -m pip install 'vagent[local]'"


def test_an_incomplete_extra_fails() -> None:
    half = {key: value for key, value in LOCAL.items() if key != "tokenizers"}
    result = judge_extra("local", half.get, loads, DEBIAN)

    assert result.state is State.FAILED
    assert result.detail == "tokenizers is not installed"
    assert result.fix == "python -m pip install 'vagent[local]'"


def test_packages_of_other_systems_are_not_required() -> None:
    versions = {"picows": "2.3"}

    windows = judge_extra("fast", versions.get, loads, Platform("win32"))
    linux = judge_extra("fast", versions.get, loads, DEBIAN)

    assert (windows.state, linux.state) == (State.OK, State.FAILED)


@pytest.mark.parametrize("version", ["2.0rc1", "2.0.dev1+local", "1.26.4", "1.26"])
def test_versions_with_words_are_compared_by_their_numbers(version: str) -> None:
    result = judge_required({**ALL, "numpy": version}.get, loads, DEBIAN)

    assert result.state is State.OK


def test_this_environment_passes(tmp_path: Path) -> None:
    (python,) = check_python(DoctorOptions({}, tmp_path))

    assert python.state is State.OK
    assert installed_version("numpy") is not None
    assert installed_version("no-such-distribution-here") is None
