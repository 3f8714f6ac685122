"""What a model looks like at a width and a moment: pure, lines of spans.

Nothing is wider than the terminal less one cell: a character in the last column leaves
some terminals' cursors in a place of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.cli.chat.entries import (
    AgentMessageEntry,
    Entry,
    NoticeEntry,
    ToolCallEntry,
    UserMessageEntry,
)
from runner.cli.chat.levels import STEPS
from runner.cli.chat.region import Frame
from runner.cli.chat.spans import Line, Span, Style, fit, fit_end, width_of, wrap
from runner.cli.lines import shorten
from runner.cli.views.chat.input import LineEditor
from runner.cli.views.chat.state import ChatState
from runner.cli.views.wire import Detail

_PROMPT = "> "
_LABEL = 7  # cells before the words of both sides
_WIDE = 64  # cells from which the status line has words beside its numbers
_RESULT = 200  # characters of a tool's result that are looked at for a folded line


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The symbols of the view; of ASCII where the terminal's encoding has no others."""

    dot: str = "●"
    tool: str = "▸"
    failed: str = "✗"
    gives: str = "→"
    more: str = "…"
    cut: str = "—"
    full: str = "▮"
    empty: str = "▯"
    steps: str = "·▁▂▃▄▅▆▇█"
    note: str = "·"
    up_down: str = "↑↓"


ASCII = Glyphs("*", ">", "x", "->", "..", "--", "#", ".", ".12345678", "-", "up/down")


@dataclass(frozen=True, slots=True)
class ChatRenderer:
    """Draws entries and the region below them."""

    glyphs: Glyphs = Glyphs()
    detail: Detail = Detail.NORMAL

    def entry(self, entry: Entry, now: float, width: int) -> list[Line]:
        """Return an entry as lines; none for one that shows nothing (yet)."""
        width = max(1, width - 1)
        match entry:
            case UserMessageEntry(text, is_final):
                role = Style.PLAIN if is_final else Style.DIM
                words = [Span(text if is_final else f"{text} {self.glyphs.more}", role)]
                label = Span("You".ljust(_LABEL), Style.CALLER)
                return wrap([label, *words], width, _LABEL) if text else []
            case AgentMessageEntry():
                return self._agent(entry, now, width)
            case ToolCallEntry() if self.detail is not Detail.QUIET:
                return self._tool(entry, now, width)
            case NoticeEntry(text):
                note = f"{self.glyphs.note} {text}"
                return wrap([Span(note, Style.DIM)], width, 2)
            case _:
                return []

    def region(
        self,
        model: ChatState,
        now: float,
        width: int,
        height: int,
        draft: LineEditor | None,
    ) -> Frame:
        """Return what is drawn below the final entries; at most `height` lines.

        The last one is the line being typed, unless there is no keyboard.
        """
        below = [self.status(model, now, width)]
        if draft is not None:
            below.append(self.typing(draft, width, model))
        above: list[Line] = []
        for entry in model.transcript.open:
            above += self.entry(entry, now, width)
        room = max(0, height - len(below))
        lines = [*(above[-room:] if room else []), *below][-max(1, height) :]
        cursor = 0
        if draft is not None:
            cursor = width_of(lines[-1]) if draft.text else len(_PROMPT)
        return Frame(lines, width, min(cursor, max(0, width - 1)))

    def status(self, model: ChatState, now: float, width: int) -> Line:
        """Return the status line: the parts for which there is room."""
        is_wide = width >= _WIDE
        minutes, seconds = divmod(int(model.elapsed(now)), 60)
        state = self._state(model, now, width)
        # The last ones go first when there is no room.
        parts = {
            "state": state,
            "time": [Span(f"{minutes:02}:{seconds:02}")],
            "you": self._meter("you", model.caller.at(now), Style.LEVEL, is_wide),
            "agent": self._meter("agent", model.sound.at(now), Style.LOUD, is_wide),
            "wait": self._wait(model, is_wide),
            "line": self._line(model, now, is_wide),
        }
        if model.standing.is_muted:
            parts["you"] = [Span("you "), Span("off", Style.BAD)]
        kept = [name for name in parts if parts[name]]
        while len(kept) > 1 and _joined_width(parts, kept) > width - 1:
            kept.pop()
        order = ("state", "you", "agent", "wait", "line", "time")
        line: Line = []
        for name in order:
            if name in kept:
                line += [Span("  "), *parts[name]] if line else parts[name]
        return line

    def typing(self, draft: LineEditor, width: int, model: ChatState) -> Line:
        """Return the line being typed, or the keys while nothing is."""
        if not draft.text:
            return self._hint(width, model)
        room = max(1, width - 4)  # the prompt, the cursor and the last column
        return [Span(_PROMPT), Span(fit_end(draft.text, room, more=self.glyphs.more))]

    def _hint(self, width: int, model: ChatState) -> Line:
        keys = ["ctrl-t mute", f"{self.glyphs.up_down} volume", "/help"]
        keys.insert(0, "type to speak")
        if model.standing.is_push_to_talk:
            keys[0] = "space to talk" if model.standing.is_muted else "space ends"
        elif model.standing.is_muted:
            keys[1] = "ctrl-t unmute"
        text = fit(", ".join(keys), max(0, width - 3), more=self.glyphs.more)
        return [Span(_PROMPT), Span(text, Style.DIM)]

    def _agent(self, reply: AgentMessageEntry, now: float, width: int) -> list[Line]:
        heard, unheard = reply.shown(now)
        if not (heard or unheard):
            return []
        line = [Span("Agent".ljust(_LABEL), Style.AGENT), Span(heard)]
        if reply.is_interrupted:
            line.append(Span(f" {self.glyphs.cut}"))
        if unheard:
            line += [Span(" "), Span(unheard, Style.UNHEARD)]
        return wrap(line, width, _LABEL)

    def _tool(self, run: ToolCallEntry, now: float, width: int) -> list[Line]:
        glyphs, is_whole = self.glyphs, self.detail is Detail.VERBOSE
        took = f"{(now if run.ended is None else run.ended) - run.began:.1f} s"
        if run.ended is None:
            took = f"{int(now - run.began)} s"  # a tenth would be drawn ten times
        result = run.result if is_whole else shorten(run.result, _RESULT)
        if run.ended is None or run.is_cancelled:
            result = "stopped" if run.is_cancelled else glyphs.more
        sign = glyphs.failed if run.is_error else glyphs.tool
        role = Style.BAD if run.is_error else Style.TOOL
        arguments = "" if run.arguments == "{}" else run.arguments
        if is_whole:
            text = f" {arguments} {glyphs.gives} {result}  {took}"
            return wrap([Span(f"{sign} {run.name}", role), Span(text)], width, 2)
        # The name, the time and something of the result are always seen.
        name = fit(f"{sign} {run.name}", max(1, width - len(took) - 12))
        room = max(0, width - width_of([Span(name)]) - len(took) - 2)
        shown = fit(f" {arguments}", max(0, room - min(room // 2, len(result) + 4)))
        if not arguments:
            shown = ""
        rest = room - width_of([Span(shown)])
        shown += fit(f" {glyphs.gives} {result}", max(0, rest))
        line = [Span(name, role), Span(shown), Span(f"  {took}", Style.DIM)]
        return wrap(line, width, 2)[:1]

    def _state(self, model: ChatState, now: float, width: int) -> Line:
        state = model.state(now)
        is_bad = state.startswith(("reconnecting", "over")) or "muted" in state
        text = fit(state, max(1, width - 10), more=self.glyphs.more)
        dot = Span(f"{self.glyphs.dot} ", Style.BAD if is_bad else Style.GOOD)
        return [dot, Span(text, Style.STATE)]

    def _meter(self, name: str, step: int, role: Style, is_wide: bool) -> Line:
        if not is_wide:
            return [Span(f"{name} "), Span(self.glyphs.steps[step], role)]
        bars = STEPS // 2
        full = (step + 1) // 2
        return [
            Span(f"{name} "),
            Span(self.glyphs.full * full, role),
            Span(self.glyphs.empty * (bars - full), Style.DIM),
        ]

    def _wait(self, model: ChatState, is_wide: bool) -> Line:
        waits = model.record.waits
        if not waits:
            return []
        return [Span(f"{'answer ' if is_wide else ''}{waits[-1]:.1f} s")]

    def _line(self, model: ChatState, now: float, is_wide: bool) -> Line:
        quality = model.quality.at(now)
        if not quality:
            return []
        role = {"good": Style.GOOD, "poor": Style.BAD}.get(quality, Style.TOOL)
        return (
            [Span("line "), Span(quality, role)] if is_wide else [Span(quality, role)]
        )


def _joined_width(parts: dict[str, Line], kept: Sequence[str]) -> int:
    return sum(width_of(parts[name]) for name in kept) + 2 * (len(kept) - 1)
