"""Writes `errors.md` from the tables that the client follows; `make docs` runs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import fill

from runner.protocol.client import recovery
from runner.protocol.client.line import (
    BACKOFF_LIMIT_SECONDS,
    BACKOFF_SECONDS,
    FRESH_TRIES,
    OUTAGE_SECONDS,
    RESUME_WINDOW_SECONDS,
)
from runner.protocol.client.recovery import Rule
from runner.protocol.client.session import CONNECT_SECONDS
from runner.protocol.client.wishes import READY_SECONDS

PAGE = Path(__file__).with_name("errors.md")

_WIDTH = 88
_MADE = "<!-- made by docs/make_errors.py: change the tables, then `make docs` -->"

_WHEN = """A service says what is wrong by an error code, by the code with which it
closes the connection, or by the HTTP status with which it refuses one. What follows
depends on when it happens: **at the start**, while a session is being set up; **while
reconnecting**, after the line dropped; or **in a call**. Error codes are compared
without regard to upper and lower case."""

_LIMITS = (
    f"""**Trying again**: after {BACKOFF_SECONDS:g} s, then twice as long each time, up
    to {BACKOFF_LIMIT_SECONDS:g} s; each shorter pause is lengthened by up to a half at
    random, so that many clients do not come back at once. A call that never stood is
    tried {FRESH_TRIES} times.""",
    f"""**A line that drops**: for {RESUME_WINDOW_SECONDS:g} s the session itself is
    taken up again; after that a fresh one is started; after {OUTAGE_SECONDS:g} s the
    call is given up.""",
    """**A fresh session** has the configuration as it stands by then, and does not
    greet a second time. With `session: {carry_over: true}` it is told the conversation
    so far.""",
    f"""**No answer**: a connection may take {CONNECT_SECONDS:g} s, a session
    {READY_SECONDS:g} s to be ready (a service on this machine has longer, to load its
    models).""",
    """**The exit code** is 3 for a call that could not be set up or go on, 4 for a key
    that is not accepted, 0 for a call that came to its end.""",
)

_LEAVING = """While the agent's last words are played and after that, an error is only
told: the end is already decided."""

_CODES = """What `session.error` says. Of a code that vagent does not know it tells, and
the call goes on for as long as the connection does."""
_CLOSES = "With which the connection ends (RFC 6455, section 7.4)."
_REFUSALS = """The HTTP status with which a connection is refused, or none at all. Once
a call has stood, a connection that cannot be made is tried again."""


def make_page() -> str:
    """Return the page."""
    errors = [*_quoted(recovery.ERRORS), ("any other", recovery.UNKNOWN_ERROR)]
    closes = [*_quoted(recovery.CLOSES), ("any other", recovery.UNKNOWN_CLOSE)]
    refusals = [
        *_quoted(recovery.REFUSALS),
        ("any other", recovery.UNKNOWN_REFUSAL),
        ("no answer", recovery.UNREACHABLE),
    ]
    blocks = [
        _MADE,
        "# What vagent does about errors",
        _paragraph(_WHEN),
        "\n".join(_paragraph(each, "* ") for each in _LIMITS),
        _paragraph(_LEAVING),
        *_section("Error codes", _CODES, "code", errors),
        *_section("Close codes", _CLOSES, "code", closes),
        *_section("Refused connections", _REFUSALS, "status", refusals),
    ]
    return "\n\n".join(blocks) + "\n"


def _paragraph(text: str, mark: str = "") -> str:
    return fill(
        " ".join(text.split()),
        _WIDTH,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_on_hyphens=False,
    )


def _section(
    title: str, text: str, first: str, rows: Iterable[tuple[str, Rule]]
) -> list[str]:
    head = (first, "meaning", "at the start", "while reconnecting", "in a call")
    lines = [_row(*head, "what you can do"), "|---" * (len(head) + 1) + "|"]
    lines += [_row(name, *_cells(rule)) for name, rule in rows]
    return [f"## {title}", _paragraph(text), "\n".join(lines)]


def _quoted(table: Mapping[str, Rule] | Mapping[int, Rule]) -> list[tuple[str, Rule]]:
    return [(f"`{code}`", rule) for code, rule in table.items()]


def _cells(rule: Rule) -> tuple[str, ...]:
    phases = (rule.opening, rule.resuming, rule.live)
    return (rule.meaning, *(each.value for each in phases), rule.advice or "")


def _row(*cells: str) -> str:
    return "| " + " | ".join(each.replace("|", "\\|") for each in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(make_page(), "utf-8", newline="\n")
