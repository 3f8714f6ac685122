"""The built wheel works outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        + ["--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (found,) = folder.glob("vagent-*.whl")
    return found


def test_the_wheel_holds_the_data_and_nothing_but_the_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert "runner/config/agent.schema.json" in names
    assert "runner/testing/scenarios/scenario.schema.json" in names
    assert "runner/speech/manifest.json" in names
    assert "runner/py.typed" in names
    templates = ROOT / "runner" / "templates"
    for file in templates.rglob("*.*"):
        if file.suffix in (".yaml", ".py", ".json"):
            assert file.relative_to(ROOT).as_posix() in names
    tops = {name.split("/")[0] for name in names}
    assert "vagent/py.typed" in names
    assert tops - {"runner", "vagent"} == {
        top for top in tops if top.endswith(".dist-info")
    }


def test_the_wheel_works_in_an_environment_of_its_own(
    wheel: Path, tmp_path: Path
) -> None:
    place = tmp_path / "environment"
    venv.create(place, with_pip=False, symlinks=os.name != "nt")
    scripts = place / ("Scripts" if os.name == "nt" else "bin")
    libraries = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(place)}))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        + ["--target", str(libraries), str(wheel)],
        check=True,
        capture_output=True,
    )
    # The dependencies come from this environment; a path file among the libraries is
    # not read for path files of its own, so the checkout stays out of sight.
    (libraries / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    agent = tmp_path / "agent.yaml"
    agent.write_text(
        "version: 1\nname: x\nprompt: Be brief.\ntools:\n  - plugin: end_call\n"
    )

    def vagent(*arguments: str) -> str:
        return subprocess.run(
            [str(scripts / "python"), "-m", "runner", *arguments],
            check=True,
            capture_output=True,
            text=True,
            cwd=tmp_path,
        ).stdout

    assert vagent("--version").startswith("vagent ")
    assert '"$id"' in vagent("schema")
    assert "end_call" in vagent("tools", str(agent))
    assert vagent("validate", str(agent)) == ""
    assert "wrote new.yaml" in vagent("new", "new", "--template=support", "--yes")
    assert vagent("validate", "new.yaml") == ""
    assert "whisper-base" in vagent("models", "list")
