"""Findings as a GitLab code quality report (a subset of the Code Climate format)."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from runner.cli.reports.common import with_fingerprints
from runner.config.lint.discovery import shown_path

if TYPE_CHECKING:
    from runner.config.lint.results import Results

# GitLab has info, minor, major, critical and blocker. An agent with errors cannot run.
_SEVERITIES = {"error": "critical", "warning": "minor"}


def write_gitlab(results: Results) -> str:
    """Returns a JSON list with an entry for each finding."""
    entries: list[dict[str, Any]] = []
    for found, fingerprint in with_fingerprints(results.root, results.findings):
        help_ = f" ({found.help})" if found.help else ""
        entries.append(
            {
                "description": f"{found.message}{help_}",
                "check_name": found.rule,
                "fingerprint": fingerprint,
                "severity": _SEVERITIES[found.severity],
                "location": {
                    "path": shown_path(PurePath(found.path), results.root),
                    "lines": {"begin": found.line, "end": found.end_line},
                },
            }
        )
    return json.dumps(entries, indent=2) + "\n"
