"""The tests mirror the package: a file of tests belongs to the module that it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
# Tests of whole calls, of the project's own files, and of what is next to the package.
WHOLE = {"agents", "device", "docs", "editor", "fuzz", "mutations", "project", "system"}
# Files that tests read; some are broken for the checker's tests.
DATA = {"bad", "beside", "cases", "corpus", "plugin_package"}


def files() -> Iterator[Path]:
    for path in sorted(TESTS.rglob("test_*.py")):
        folder = path.relative_to(TESTS).parent
        if not DATA & set(folder.parts) and WHOLE.isdisjoint(folder.parts[:1]):
            yield path.relative_to(TESTS)


@pytest.mark.parametrize("path", list(files()), ids=str)
def test_a_file_of_tests_names_a_module_of_its_folder(path: Path) -> None:
    """`test_MODULE.py`, or `test_MODULE_ASPECT.py` for one aspect of a module."""
    folder = ROOT / "runner" / path.parent
    subject = path.stem.removeprefix("test_")
    modules = {each.stem for each in folder.glob("*.py")} | {folder.name}

    assert any(
        subject == module or subject.startswith(f"{module}_") for module in modules
    )
