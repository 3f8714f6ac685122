"""Recordings of calls under test: noted while they go on, written when it is known
that somebody will want to look at one."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from runner.config.confidential import agent_secrets
from runner.errors import FileUnreadable
from runner.keeping import (
    RecordingOptions,
    describe_call,
    find_secrets,
    read_agent_text,
)
from runner.protocol.client.actions import Action
from runner.protocol.client.events import Event
from runner.recording.recorder import Recorder
from runner.redaction import Redactor
from runner.testing.results import ScenarioResult
from runner.testing.setup import CallFixture

_NO_NAME = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME = 80  # far below what file systems take


class FailureRecorder:
    """Everything that happened in one call; an observer of the engine."""

    def __init__(self) -> None:
        self._happened: list[tuple[float, Event | Action]] = []

    def observe(self, at: float, what: Event | Action) -> None:
        """Note an event or an action."""
        self._happened.append((at, what))

    def write(
        self, into: Path, result: ScenarioResult, stage: CallFixture, seed: int
    ) -> Path:
        """Write a recording in place of the scenario's last one; return its folder.

        Raises:
            FileUnreadable: it cannot be written.
        """
        folder = into / _folder_name(result)
        agent, service = stage.agent, stage.service
        text = read_agent_text(agent.path)
        redactor = Redactor(agent_secrets(agent) | find_secrets(text, service))
        keeping = RecordingOptions(into)
        header = describe_call(agent, text, stage.config, service.name, seed, keeping)
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        except OSError as error:
            raise FileUnreadable.from_os_error(folder, "written", error) from error
        with Recorder(
            folder, header, text, redactor=redactor, threaded=False
        ) as recorder:
            for at, what in self._happened:
                recorder.observe(at, what)
        return folder


def _folder_name(result: ScenarioResult) -> str:
    """Return a name that tells file, scenario and run; the same each time.

    Whatever letters cannot tell apart, the folder of the file included, a few figures
    do: no two scenarios write to the same place.
    """
    path, line = result.scenario.place.path, result.scenario.place.line
    stem, wanted = path.name.partition(".")[0], result.scenario.id
    name = _NO_NAME.sub("-", wanted.lower()).strip("-")[:_LONGEST_NAME].rstrip("-")
    if name.replace("-", " ") != wanted.lower() or path.name != path.as_posix():
        what = f"{path.as_posix()}::{wanted}"
        name += "-" + hashlib.sha256(what.encode("utf-8", "replace")).hexdigest()[:6]
    run = f"-{result.run + 1}" if result.run else ""
    return f"{stem}-{line}-{name.strip('-')}{run}"
