from __future__ import annotations

import asyncio
import contextvars
import sys
import threading

import pytest

from runner.tools.execution import SplitStdout, split_stdout, tool_output


def put_in_place() -> SplitStdout:
    split = split_stdout()
    assert split is not None
    return split


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def test_only_output_of_tools_goes_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    split = put_in_place()
    say("data")
    with tool_output():
        say("chatter")
    say("more")
    split.restore()

    assert capsys.readouterr() == ("data\nmore\n", "chatter\n")


async def test_tasks_and_threads_of_a_tool_print_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    split = put_in_place()

    async def speak() -> None:
        say("from a task")

    with tool_output():
        task = asyncio.create_task(speak())
        run = contextvars.copy_context().run
        thread = threading.Thread(target=run, args=(say, "from a thread"))
        thread.start()
    thread.join()
    say("data")
    await task
    split.restore()

    out, err = capsys.readouterr()
    assert out == "data\n"
    assert sorted(err.splitlines()) == ["from a task", "from a thread"]


def test_the_split_is_installed_once_and_restored() -> None:
    split = put_in_place()
    assert split_stdout() is None
    assert isinstance(sys.stdout, SplitStdout)
    split.restore()
    assert not isinstance(sys.stdout, SplitStdout)


def test_a_later_replacement_of_stdout_is_kept() -> None:
    split = put_in_place()
    split.restore()
    other = sys.stdout
    split.restore()

    assert sys.stdout is other
