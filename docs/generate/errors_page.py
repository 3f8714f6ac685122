"""The page of errors, from the tables that the client follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from docs.generate.markdown import page, paragraph, table
from runner.protocol.client import state
from runner.protocol.client.config import READY_SECONDS
from runner.protocol.client.session import CONNECT_SECONDS
from runner.protocol.client.state import (
    BACKOFF_LIMIT_SECONDS,
    BACKOFF_SECONDS,
    FRESH_TRIES,
    OUTAGE_SECONDS,
    RESUME_WINDOW_SECONDS,
    Rule,
)

_INTRODUCTION = """A voice-agent service reports an error in one of three ways: with an
error code in a `session.error` message, with the close code of the WebSocket, or with
the HTTP status of a refused connection. The reaction of vagent depends on when the
error happens: **at the start**, while the session is set up; **while reconnecting**,
after the connection dropped; or **in a call**. Error codes are compared without regard
to case."""

_LIMITS = (
    f"""**Retries** start after {BACKOFF_SECONDS:g} s. The delay doubles each time, up
    to {BACKOFF_LIMIT_SECONDS:g} s, and shorter delays are extended by a random amount
    of up to a half, so that many clients do not reconnect at the same moment. A call
    that was never established is tried {FRESH_TRIES} times.""",
    f"""**After a dropped connection** vagent resumes the same session for up to
    {RESUME_WINDOW_SECONDS:g} s. After that it opens a fresh session. After
    {OUTAGE_SECONDS:g} s it gives up.""",
    """**A fresh session** has the current configuration and does not repeat the
    greeting. With `session: {carry_over: true}` it receives the conversation so
    far.""",
    f"""**Timeouts**: a connection has {CONNECT_SECONDS:g} s to open, a session
    {READY_SECONDS:g} s to become ready. A service on this machine has longer, because
    it loads its models.""",
    """**The exit code** is 3 if the call could not be set up or could not continue, 4
    if the key was rejected, and 0 if the call ended normally.""",
)

_ENDING = """While the last words of the agent are played, and after that, an error is
only reported. The end of the call is already decided."""

_CODES = """The `code` of a `session.error` message. vagent reports a code that it does
not know, and the call continues for as long as the connection does."""
_CLOSES = "The close code of the WebSocket (RFC 6455, section 7.4)."
_REFUSALS = """The HTTP status of a refused connection, or no answer at all. After a
call was established, a connection that cannot be opened is retried."""


def make_page() -> str:
    """Returns the page."""
    errors = [*_quoted(state.ERRORS), ("any other", state.UNKNOWN_ERROR)]
    closes = [*_quoted(state.CLOSES), ("any other", state.UNKNOWN_CLOSE)]
    refusals = [
        *_quoted(state.REFUSALS),
        ("any other", state.UNKNOWN_REFUSAL),
        ("no answer", state.UNREACHABLE),
    ]
    return page(
        "# Errors",
        paragraph(_INTRODUCTION),
        "\n".join(paragraph(each, "* ") for each in _LIMITS),
        paragraph(_ENDING),
        *_section("Error codes", _CODES, "code", errors),
        *_section("Close codes", _CLOSES, "code", closes),
        *_section("Refused connections", _REFUSALS, "status", refusals),
    )


def _section(
    title: str, text: str, first: str, rows: Iterable[tuple[str, Rule]]
) -> list[str]:
    head = (first, "meaning", "at the start", "while reconnecting", "in a call")
    cells = [(name, *_cells(rule)) for name, rule in rows]
    return [f"## {title}", paragraph(text), table((*head, "hint"), cells)]


def _quoted(rows: Mapping[str, Rule] | Mapping[int, Rule]) -> list[tuple[str, Rule]]:
    return [(f"`{code}`", rule) for code, rule in rows.items()]


def _cells(rule: Rule) -> tuple[str, ...]:
    phases = (rule.opening, rule.resuming, rule.live)
    return (rule.meaning, *(each.value for each in phases), rule.advice or "")
