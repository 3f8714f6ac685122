from __future__ import annotations

from importlib import import_module

import pytest

from runner.cli.doctor_checks.process import CHECKS, LOOP, Check


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_each_check_names_an_existing_function(check: Check) -> None:
    module, _, function = check.run.partition(":")

    assert callable(getattr(import_module(module), function))


def test_check_names_are_unique() -> None:
    names = [check.name for check in CHECKS]

    assert len(set(names)) == len(names)
    assert LOOP in names


def test_checks_that_can_hang_have_a_fix() -> None:
    for check in CHECKS:
        assert check.fix or ".audio:" not in check.run
