"""`validate --watch` on a terminal while files are edited."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from tests.terminal import running

GOOD = "version: 1\nname: a\nprompt_file: prompt.md\nsession: {max_duration: 30m}\n"


def agent(folder: Path, text: str = GOOD) -> Path:
    path = folder / "a.yaml"
    path.write_text(text)
    (folder / "prompt.md").write_text("Be brief.")
    return path


async def test_files_are_checked_again_when_they_change(tmp_path: Path) -> None:
    path = agent(tmp_path)
    async with running("validate", "--watch", "--select", "VA2,VA3", tmp_path) as (
        terminal,
        process,
    ):
        await terminal.said("1 file checked, 0 errors, 0 warnings")
        await terminal.said("watching for changes")
        path.write_text(GOOD + "voise: x\n")
        await terminal.said("unknown key `voise`")
        path.write_text(GOOD)
        await terminal.said("1 file checked, 0 errors, 0 warnings", 2)
        (tmp_path / "prompt.md").write_text("Hi ${nobody}.")
        await terminal.said("the variable `nobody` is not declared")
        (tmp_path / "b.yaml").write_text(GOOD + "voize: x\n")
        await terminal.said("2 files checked, 3 errors, 0 warnings")
        if sys.platform != "win32":  # a process there cannot be sent a Ctrl-C alone
            process.send_signal(signal.SIGINT)
            assert await terminal.ended() == 130
            assert "Traceback" not in terminal.out


async def test_later_errors_are_reported_and_the_watch_continues(
    tmp_path: Path,
) -> None:
    path = agent(tmp_path)
    async with running("validate", "--watch", tmp_path) as (terminal, _):
        await terminal.said("watching for changes")
        path.unlink()
        await terminal.said("vagent: no agent or scenario files in the folder")
        agent(tmp_path, GOOD + "voise: x\n")
        await terminal.said("unknown key `voise`")


async def test_watching_no_files_is_wrong_usage(tmp_path: Path) -> None:
    async with running("validate", "--watch", tmp_path) as (terminal, _):
        assert await terminal.ended() == 2
