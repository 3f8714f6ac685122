from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from runner.cli.reports.common import all_rules, find_rule
from runner.config.lint.rules import RULES
from runner.testing.scenarios.rules import RULES as SCENARIO_RULES


def test_every_rule_is_found_by_its_id() -> None:
    rules = all_rules()
    assert rules.keys() == RULES.keys() | SCENARIO_RULES.keys()
    assert not RULES.keys() & SCENARIO_RULES.keys()
    assert all(find_rule(each) is rules[each] for each in rules)


def test_a_rule_for_agents_is_found_without_those_for_scenarios() -> None:
    code = (
        "import sys; from runner.cli.reports.common import find_rule; "
        "find_rule('VA203'); sys.exit('runner.testing.scenarios' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
