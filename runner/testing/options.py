"""The options for running scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the steps import an engine
    from runner.testing.steps import Judge

SCRIPT = "script"


@dataclass(frozen=True, slots=True)
class TestOptions:
    """Options for running scenarios.

    `service` is script, local, assemblyai or a URL. `environment` supplies keys and
    `${env:…}`. `noise_db` and `packet_loss` are as in `Impairment`. `keep` is the
    folder for recordings of failed scenarios (of all, with `keep_passed`).
    """

    __test__ = False  # pytest: a class of options, not of tests

    service: str = SCRIPT
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    seed: int = 0
    noise_db: float | None = None
    packet_loss: float = 0.0
    live_tools: bool = False
    judge: Judge | None = None
    keep: Path | None = None
    keep_passed: bool = False
    transport: str = "auto"
