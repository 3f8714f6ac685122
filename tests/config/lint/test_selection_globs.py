from __future__ import annotations

import pytest

from runner.config.lint.selection import matches


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("a.yaml", "a.yaml"),
        ("x/y/a.yaml", "a.yaml"),
        ("x/y/a.yaml", "*.yaml"),
        ("x/a.yaml", "x"),
        ("x/y/a.yaml", "x/"),
        ("x/y/a.yaml", "x/y"),
        ("x/y/a.yaml", "x\\y"),
        ("x/y/a.yaml", "./x/*/a.yaml"),
        ("x/a.yaml", "x/**/a.yaml"),
        ("x/y/z/a.yaml", "x/**/a.yaml"),
        ("x/y/a.yaml", "**/a.yaml"),
        ("a.yaml", "**/a.yaml"),
        ("x/y", "x/**"),
        ("a1.yaml", "a[0-9].yaml"),
        ("ab.yaml", "a[!0-9].yaml"),
        ("a].yaml", "a[]].yaml"),
        ("a[.yaml", "a[.yaml"),
        ("a+b.yaml", "a+?.yaml"),
        ("a\nb/c", "a*"),
    ],
)
def test_a_pattern_is_about(path: str, pattern: str) -> None:
    assert matches(path, pattern)


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("ba.yaml", "a.yaml"),
        ("a.yaml2", "a.yaml"),
        ("x/y/a.yaml", "x/a.yaml"),
        ("x/y/a.yaml", "x/*.yaml"),
        ("y/x/a.yaml", "x/a.yaml"),
        ("a/b", "a?b"),
        ("axyaml", "a.yaml"),
        ("a1.yaml", "a[!0-9].yaml"),
        ("a/b", "a[!x]b"),
    ],
)
def test_a_pattern_is_not_about(path: str, pattern: str) -> None:
    assert not matches(path, pattern)
