"""The wire view of a call."""

from __future__ import annotations

import io

import pytest

from runner.cli.views.wire import Detail, Printer, WireView
from runner.config.diagnostics import Diagnostic
from runner.observers.call_stats import CallRecord, CallStats, Counters
from runner.protocol.client.actions import (
    Action,
    Announce,
    Close,
    Notify,
    Outcome,
    Send,
)
from runner.protocol.client.events import Event, Received
from runner.protocol.messages import (
    InputAudio,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    TranscriptUserDelta,
)

CALL: list[Event | Action] = [
    Received(TranscriptUserDelta("where is")),
    Received(TranscriptUser("Where is it?")),
    Received(ReplyStarted("r1")),
    Received(ToolCall("c1", "look", {"at": "it"})),
    Received(ReplyAudio(bytes(4800), "r1")),
    Received(TranscriptAgentDelta("Here")),
    Received(TranscriptAgent("Here.", "r1")),
    Received(ReplyDone("r1")),
    Send(ToolResult("c1", '"here"')),
    Send(InputAudio(bytes(2400))),
    Notify("something happened"),
    Close(Outcome.CLEAN, "the agent hung up"),
]


def shown(detail: Detail, *, is_terminal: bool = False) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    view = WireView(Printer(out, err), CallStats(), detail, is_terminal)
    for what in CALL:
        view.observe(0.0, what)
    return out.getvalue(), err.getvalue()


def test_each_message_is_a_line_with_an_arrow() -> None:
    out, err = shown(Detail.NORMAL)

    assert out.splitlines() == [
        "← transcript.user",
        "You:    Where is it?",
        "← reply.started (r1)",
        '← tool.call look({"at": "it"}) id=c1',
        "← transcript.agent",
        "Agent:  Here.",
        "← reply.done (r1) completed, 0.1 s of audio",
        '→ tool.result "here" id=c1',
    ]
    assert err.splitlines() == ["* something happened", "the agent hung up."]


def test_quiet_shows_only_transcripts() -> None:
    out, _ = shown(Detail.QUIET)

    assert out.splitlines() == ["You:    Where is it?", "Agent:  Here."]


def test_verbose_shows_audio_by_its_length() -> None:
    out, _ = shown(Detail.VERBOSE)

    assert "← reply.audio 100 ms (r1)" in out
    assert "→ input.audio 50 ms" in out


def test_a_partial_transcript_is_overwritten_on_a_terminal() -> None:
    out, _ = shown(Detail.NORMAL, is_terminal=True)

    assert out.startswith("\r\x1b[K  … where is\r\x1b[K← transcript.user\n")


def test_no_control_characters_without_a_terminal() -> None:
    out, err = shown(Detail.VERBOSE)

    assert "\x1b" not in out + err
    assert "\r" not in out + err


def test_control_characters_of_the_service_are_removed() -> None:
    out, err = io.StringIO(), io.StringIO()
    view = WireView(Printer(out, err), CallStats())
    view.observe(0.0, Received(TranscriptUser("\x1b[2Jgone\x07\r\nfake line")))

    assert "\x1b" not in out.getvalue()
    assert "\x07" not in out.getvalue()
    assert len(out.getvalue().splitlines()) == 2


def test_announcements_are_shown_as_the_agent() -> None:
    out = io.StringIO()
    view = WireView(Printer(out, io.StringIO()), CallStats(), Detail.QUIET)

    view.observe(0.0, Announce("One moment."))

    assert out.getvalue() == "Agent:  One moment.\n"


def test_a_closed_output_is_reported_once() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    gone: list[int] = []
    printer = Printer(Closed(), io.StringIO())
    printer.on_reader_gone = lambda: gone.append(1)
    printer.line("a")
    printer.line("b")

    assert gone == [1]


def test_secrets_are_redacted_everywhere() -> None:
    out, err = io.StringIO(), io.StringIO()
    printer = Printer(out, err)
    printer.mask = lambda text: text.replace("sk-1", "***")
    printer.line("key sk-1")
    printer.notice("key sk-1")

    assert out.getvalue() + err.getvalue() == "key ***\nkey ***\n"


ENDED = Close(Outcome.CLEAN, "the agent hung up")


def summary(counters: Counters, detail: Detail = Detail.NORMAL) -> list[str]:
    err = io.StringIO()
    view = WireView(Printer(io.StringIO(), err), CallStats(), detail)
    view.summary(ENDED, counters)
    return err.getvalue().splitlines()


def test_a_call_without_losses_ends_with_one_line() -> None:
    fine = Counters(messages_sent=9, audio_sent_seconds=3.0, tool_calls_run=1)

    assert summary(fine) == ["0 answers"]


@pytest.mark.parametrize("detail", Detail)
def test_a_transcript_without_text_has_no_line(detail: Detail) -> None:
    out = io.StringIO()
    view = WireView(Printer(out, io.StringIO()), CallStats(), detail)

    view.observe(1.0, Received(TranscriptAgent("", "r", "i", interrupted=True)))
    view.observe(1.0, Received(TranscriptUser(" ", "i")))

    assert "Agent:" not in out.getvalue()
    assert "You:" not in out.getvalue()


def test_one_of_a_kind_is_counted_in_the_singular() -> None:
    stats = CallStats(answers=1, interruptions=1, calls={"c": CallRecord("a", 0.0)})
    err = io.StringIO()

    WireView(Printer(io.StringIO(), err), stats).summary(ENDED, Counters())

    assert err.getvalue() == "1 answer; 1 tool call, 0 failed; 1 interruption\n"


def test_losses_are_described() -> None:
    lost = Counters(
        connection_drops=1,
        connection_lost_seconds=1.3,
        microphone_dropped_seconds=0.15,
        outbox_dropped_seconds=0.05,
        microphone_unsent_seconds=1.2,
        replies_retried=1,
        threads_hung=2,
    )

    assert summary(lost)[1:] == [
        "connection lost once for 1.3 s, with 1.2 s of the microphone; "
        "0.20 s of the microphone dropped; 2 tools still running; "
        "1 reply requested again"
    ]


def test_verbose_shows_every_counter_by_its_name() -> None:
    (_, told) = summary(Counters(connection_drops=2), Detail.VERBOSE)

    assert "connection_drops 2" in told
    assert all(name in told for name in Counters().as_dict())


def test_findings_are_shown_as_validate_shows_them() -> None:
    err = io.StringIO()
    found = Diagnostic(
        "a.yaml", 3, 1, 3, 6, "VA203", "error", "no", "yes?", excerpt="promt: x"
    )
    WireView(Printer(io.StringIO(), err), CallStats()).findings([found])

    assert err.getvalue().splitlines() == [
        "a.yaml:3:1: error: no [VA203]",
        "  3 | promt: x",
        "    | ^^^^^",
        "    = help: yes?",
    ]


class Terminal(io.StringIO):
    """A terminal of 60 columns."""

    def isatty(self) -> bool:
        return True


def test_no_word_is_broken_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    text = "the microphone is muted while the agent speaks " * 5
    out, err = Terminal(), Terminal()
    printer = Printer(out, err)

    printer.line(text)
    printer.notice(text)

    for shown in (out.getvalue(), err.getvalue()):
        assert shown.split() == text.split()
        assert max(map(len, shown.splitlines())) <= 60


def test_a_line_in_a_pipe_is_not_broken() -> None:
    out = io.StringIO()

    Printer(out, io.StringIO()).line("word " * 100)

    assert out.getvalue().count("\n") == 1
