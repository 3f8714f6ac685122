"""What a typed line means."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.engine.controls import (
    COMMANDS,
    End,
    Help,
    InvalidCommand,
    Mute,
    PushToTalk,
    SayText,
    Typed,
    Volume,
    describe_commands,
    parse_line,
)


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        ("where is my order", SayText("where is my order")),
        ("  and/or  ", SayText("and/or")),
        ("/mute", Mute(True)),
        ("/MUTE", Mute(True)),
        ("/unmute", Mute(False)),
        ("/talk", PushToTalk()),
        ("/volume 0", Volume(0)),
        ("/volume  100", Volume(100)),
        ("/volume 30%", Volume(30)),
        ("/say /mute", SayText("/mute")),
        ("/say  hello there", SayText("hello there")),
        ("/end", End()),
        ("/help", Help()),
    ],
)
def test_a_line_is_words_or_a_command(line: str, typed: Typed) -> None:
    assert parse_line(line) == typed


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/volume", "usage: /volume 0-100"),
        ("/volume loud", "usage: /volume 0-100"),
        ("/volume 101", "usage: /volume 0-100"),
        ("/volume -1", "usage: /volume 0-100"),
        ("/volume 3.5", "usage: /volume 0-100"),
        ("/volume ²", "usage: /volume 0-100"),
        ("/mute now", "usage: /mute"),
        ("/say", "usage: /say TEXT"),
        ("/volme 3", "did you mean /volume?"),
        ("/quit", "/help lists the commands"),
        ("/etc/hosts", "(/say /etc/hosts says it to the agent)"),
        ("/", "unknown command '/'"),
    ],
)
def test_a_command_that_is_none_is_reported_and_never_said(
    line: str, text: str
) -> None:
    typed = parse_line(line)

    assert isinstance(typed, InvalidCommand)
    assert text in typed.text


def test_help_and_the_documentation_name_every_command() -> None:
    path = Path(__file__).parents[2] / "docs" / "how-to" / "talk.md"
    page = path.read_text("utf-8")

    for command, line in zip(COMMANDS.values(), describe_commands(), strict=True):
        assert line.startswith(command.usage)
        assert line.endswith(command.help)
        assert f"`{command.usage}`" in page
