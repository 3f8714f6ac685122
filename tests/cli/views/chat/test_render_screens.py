"""Every state of the chat on a terminal, kept as text next to this file.

`VAGENT_REWRITE_SCREENS=1 pytest tests/cli/chat` rewrites the kept screens: look at
the difference before it is committed.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import pyte
import pytest

from runner.cli.views.chat.input import LineEditor
from runner.cli.views.chat.render import (
    ASCII,
    AnsiWriter,
    ChatRenderer,
    Glyphs,
    Line,
    LiveRegion,
    width_of,
)
from runner.cli.views.chat.state import ChatState
from runner.cli.views.plain import PlainView
from runner.cli.views.wire import Detail, Printer, WireView
from runner.observers.call_stats import CallStats
from tests.cli.views.chat.calls import SCENES, Scene

SCREENS = Path(__file__).parent / "screens"
HEIGHT = 16


class Screen:
    """A terminal of which the text, the attributes and the cursor can be seen."""

    def __init__(self, width: int, height: int = HEIGHT) -> None:
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.Stream(self.screen)

    def write(self, text: str) -> None:
        self._stream.feed(text)

    @property
    def lines(self) -> list[str]:
        """The lines down to the last that has something, without spaces after them.

        A character of two cells leaves an empty string in its second one.
        """
        lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def marks(self, attribute: str) -> str:
        """Return the text that has an attribute, run by run."""
        rows = []
        for row in range(self.screen.lines):
            cells = [self.screen.buffer[row][x] for x in range(self.screen.columns)]
            rows.append("".join(c.data for c in cells if getattr(c, attribute)))
        return " ".join(row.strip() for row in rows if row.strip())


def draw(
    scene: Scene,
    screen: Screen,
    picture: ChatRenderer | None = None,
    paint: AnsiWriter | None = None,
) -> None:
    """Draw a scene as the driver does, from an empty screen."""
    picture, region = picture or ChatRenderer(), LiveRegion(paint or AnsiWriter())
    model, width = scene.model(), screen.screen.columns
    above: list[Line] = []
    for entry in model.transcript.take_finished(scene.at):
        above += picture.entry(entry, scene.at, width)
    below = picture.region(model, scene.at, width, HEIGHT - 1, scene.draft())
    screen.write(region.print(above, below))


def agree(name: str, shown: str) -> None:
    kept = SCREENS / f"{name}.txt"
    if os.environ.get("VAGENT_REWRITE_SCREENS"):
        kept.write_text(shown, "utf-8", newline="\n")
    assert shown == kept.read_text("utf-8")


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("name", SCENES)
def test_a_state_looks_as_kept(name: str, width: int) -> None:
    screen = Screen(width)

    draw(SCENES[name], screen)

    cursor = f"cursor {screen.screen.cursor.y + 1}:{screen.screen.cursor.x + 1}"
    agree(f"{name}-{width}", "\n".join([*screen.lines, f"-- {cursor}", ""]))


@pytest.mark.parametrize("detail", [Detail.QUIET, Detail.VERBOSE])
def test_a_tool_is_whole_when_verbose_and_not_there_when_quiet(detail: Detail) -> None:
    screen = Screen(80)

    draw(SCENES["tool-done"], screen, ChatRenderer(detail=detail))

    agree(f"tool-done-{detail.name.lower()}", "\n".join([*screen.lines, ""]))


@pytest.mark.parametrize("detail", list(Detail))
@pytest.mark.parametrize("name", ["interrupted", "tool-done", "tool-failed", "over"])
def test_plain_prints_sentences_for_finished_items(name: str, detail: Detail) -> None:
    out = io.StringIO()
    scene = SCENES[name]
    view = PlainView(Printer(out, out), ChatState(), detail)
    for at, what in scene.happenings:
        view.model.record.events.observe(at, what)
        view.observe(at, what)

    shown = out.getvalue()
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert shown.isascii()
    agree(f"{name}-plain-{detail.name.lower()}", shown)


@pytest.mark.parametrize("name", ["interrupted", "tool-done", "reconnecting", "over"])
def test_the_wire_looks_as_kept(name: str) -> None:
    out = io.StringIO()
    scene = SCENES[name]
    view = WireView(Printer(out, out), CallStats(waits=list(scene.waits)))
    for at, what in scene.happenings:
        view.observe(at, what)

    agree(f"{name}-wire", out.getvalue())


def test_unheard_words_are_struck_through() -> None:
    screen = Screen(80)

    draw(SCENES["interrupted"], screen)

    heard = "Your order left the warehouse"
    assert screen.marks("strikethrough") == ANSWER_LEFT
    assert heard in screen.lines[1]
    assert heard not in screen.marks("strikethrough")


ANSWER_LEFT = "this morning and will be with you tomorrow."


def test_without_color_only_color_codes_are_missing() -> None:
    colourful, plain = Screen(80), Screen(80)

    draw(SCENES["interrupted"], colourful)
    draw(SCENES["interrupted"], plain, paint=AnsiWriter(colors=False))

    assert plain.lines == colourful.lines
    assert plain.marks("strikethrough") == colourful.marks("strikethrough")
    cells = [cell for row in plain.screen.buffer.values() for cell in row.values()]
    assert {cell.fg for cell in cells} == {"default"}


@pytest.mark.parametrize("name", SCENES)
def test_colors_are_from_the_palette_of_the_terminal(name: str) -> None:
    named = {"default", "black", "red", "green", "brown", "blue", "magenta", "cyan"}
    screen = Screen(80)

    draw(SCENES[name], screen)

    cells = [cell for row in screen.screen.buffer.values() for cell in row.values()]
    assert {cell.fg for cell in cells} <= named
    assert {cell.bg for cell in cells} == {"default"}


def test_a_terminal_of_ascii_gets_ascii() -> None:
    screen = Screen(80)

    draw(SCENES["tool"], screen, ChatRenderer(ASCII))

    assert all(line.isascii() for line in screen.lines)
    assert len(Glyphs().steps) == len(ASCII.steps)


def test_unchanged_lines_are_not_rewritten() -> None:
    picture, region, model = (
        ChatRenderer(),
        LiveRegion(AnsiWriter()),
        SCENES["speaking"].model(),
    )
    screen = Screen(80)
    screen.write(region.draw(picture.region(model, 3.0, 80, HEIGHT, None)))

    assert region.draw(picture.region(model, 3.0, 80, HEIGHT, None)) == ""
    changed = region.draw(picture.region(model, 3.3, 80, HEIGHT, None))

    assert "left the warehouse" in changed
    assert "line good" not in changed
    screen.write(changed)
    assert screen.lines[-2].startswith("Agent  Your order left the warehouse this")


def test_a_narrower_terminal_that_breaks_lines_again_is_cleared_of_the_old() -> None:
    picture, region, model = (
        ChatRenderer(),
        LiveRegion(AnsiWriter()),
        SCENES["speaking"].model(),
    )
    draft = SCENES["speaking"].draft()
    wide = picture.region(model, 3.0, 80, HEIGHT, draft)
    region.draw(wide)

    erased = region.erase(40)

    # Of the lines above the one of the cursor, the state has become two.
    widths = [width_of(line) > 40 for line in wide.lines[:-1]]
    assert widths == [False, False, True]
    assert erased.count("\x1b[1A") == 4


def test_without_a_sound_card_there_are_no_controls_for_it() -> None:
    model = SCENES["speaking"].model()
    model.has_microphone = model.has_speaker = False

    lines = ChatRenderer().region(model, SCENES["speaking"].at, 80, 4, LineEditor())
    text = "\n".join("".join(span.text for span in line) for line in lines.lines)

    assert "type your words, /end, /help" in text
    assert not any(each in text for each in ("volume", "mute"))


@pytest.mark.parametrize("width", [40, 60, 80])
def test_how_to_end_the_call_is_visible_at_every_width(width: int) -> None:
    model = SCENES["speaking"].model()

    frame = ChatRenderer().region(model, SCENES["speaking"].at, width, 4, LineEditor())

    assert "/end" in "".join(span.text for span in frame.lines[-1])
