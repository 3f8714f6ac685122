"""Agents loaded for many calls: read once, as long as their files stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path

from runner.config.loader import load_agent
from runner.config.model import AgentConfig
from runner.tools.plugins import installed_kinds
from runner.tools.tool import ToolKind
from runner.watching import AgentFileWatcher


@cache
def kinds() -> Mapping[str, ToolKind]:
    """Return the installed tool kinds; found once, nothing is installed meanwhile."""
    return installed_kinds()


def load_test_agent(
    path: Path,
    variables: Mapping[str, str],
    environment: Mapping[str, str],
    *,
    stand_ins: bool,
) -> AgentConfig:
    """Load an agent; with `stand_ins`, what the environment lacks is made up.

    Raises:
        ConfigError: the file has findings. FileUnreadable, UsageError.
    """
    files = AgentFileWatcher(path)
    stamp = tuple(sorted(files.look().items()))
    given = frozenset(variables.items()), frozenset(environment.items())
    agent = _load(path, stamp, *given, stand_ins)
    # Its own object for each call: kinds keep what they have loaded for one agent.
    return replace(agent)


@lru_cache(maxsize=64)
def _load(
    path: Path,
    stamp: object,
    variables: frozenset[tuple[str, str]],
    environment: frozenset[tuple[str, str]],
    stand_ins: bool,
) -> AgentConfig:
    del stamp  # other files, another entry
    known = dict(environment)
    return load_agent(
        path,
        environment=_StandIns(known) if stand_ins else known,
        variables=dict(variables),
        kinds={key: kind.schema for key, kind in kinds().items()},
    )


class _StandIns(dict[str, str]):
    """An environment in which everything is set."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return f"stand-in-for-{name}"
