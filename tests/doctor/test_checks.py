from __future__ import annotations

from importlib import import_module

import pytest

from runner.doctor.checks import CHECKS, LOOP
from runner.doctor.watchdog import Check


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_each_check_names_a_function_that_is_there(check: Check) -> None:
    module, _, function = check.run.partition(":")

    assert callable(getattr(import_module(module), function))


def test_each_check_has_a_name_of_its_own() -> None:
    names = [check.name for check in CHECKS]

    assert len(set(names)) == len(names)
    assert LOOP in names


def test_what_may_hang_says_what_to_do() -> None:
    for check in CHECKS:
        assert check.fix or ".sound:" not in check.run
