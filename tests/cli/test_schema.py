from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from jsonschema import Draft202012Validator

from runner.config.packaged import packaged_schema

ROOT = Path(__file__).parents[2]


def test_the_schema_is_printed_with_the_installed_kinds() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runner", "schema"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    printed = json.loads(done.stdout)
    Draft202012Validator.check_schema(printed)
    packaged = packaged_schema()
    assert printed["$id"] == packaged["$id"]
    assert printed["properties"] == packaged["properties"]
    assert packaged["$defs"].keys() <= printed["$defs"].keys()
