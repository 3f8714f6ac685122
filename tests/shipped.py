"""The agent files and the scenario files of agents/."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "agents"

SCENARIO_FILES = sorted(_FOLDER.glob("*.test.yaml"))
AGENT_FILES = sorted(set(_FOLDER.glob("*.yaml")) - set(SCENARIO_FILES))
