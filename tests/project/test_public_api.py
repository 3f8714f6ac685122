"""The public API: `vagent` is light to import, complete, documented and typed."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vagent
from runner import testing

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "python-api.md").read_text("utf-8")
HEAVY = ("numpy", "websockets", "pydantic", "jsonschema", "yaml", "asyncio")


def test_importing_vagent_loads_nothing_heavy() -> None:
    code = (
        f"import sys, vagent; print([m for m in {HEAVY} if m in sys.modules])\n"
        "from vagent import AgentConfig, errors, testing\n"
        "print([m for m in ('numpy', 'websockets', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines() == ["[]", "[]"]


@pytest.mark.parametrize("name", vagent.__all__)
def test_a_public_name_is_found_and_documented(name: str) -> None:
    value = getattr(vagent, name)

    assert name in dir(vagent)
    if name != "__version__":
        assert inspect.getdoc(value)


@pytest.mark.parametrize("name", testing.__all__)
def test_a_name_for_tests_is_found_and_documented(name: str) -> None:
    assert inspect.getdoc(getattr(testing, name))


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        vagent.nothing  # noqa: B018  # the access is what is tested


def test_the_page_documents_exactly_the_public_names() -> None:
    modules = {"errors", "hosting", "testing"}  # the page has a section for each
    documented = re.findall(r"^::: vagent\.(\w+)$", PAGE, re.MULTILINE)
    for_tests = re.findall(r"^::: runner\.testing\.(\w+)$", PAGE, re.MULTILINE)

    assert sorted(documented) == sorted(set(vagent.__all__) - modules - {"__version__"})
    assert sorted(for_tests) == sorted(testing.__all__)
    assert all(f"`vagent.{name}`" in PAGE for name in modules)


def test_the_package_is_marked_as_typed() -> None:
    assert (Path(vagent.__file__).parent / "py.typed").is_file()
