"""Statistics of a call: texts, waits, tool calls, interruptions."""

from __future__ import annotations

from dataclasses import dataclass, field

from runner.observers.events import (
    AgentReplyEnded,
    AnswerHeard,
    CallEvent,
    CallInterpreter,
    FinalTranscript,
    ToolEnded,
    ToolStarted,
)


@dataclass(slots=True)
class CallRecord:
    """One tool call; `ended` is None while it runs."""

    name: str
    began: float
    ended: float | None = None
    is_error: bool = False


@dataclass(slots=True)
class CallStats:
    """Statistics of a call; `events` is fed by the engine and serves other observers.

    `waits` are the seconds from the last audible audio of the caller to the first of
    the agent's answer, turn by turn. Times are seconds on the engine's clock.
    """

    words: list[FinalTranscript] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    calls: dict[str, CallRecord] = field(default_factory=dict)
    interruptions: int = 0
    events: CallInterpreter = field(default_factory=CallInterpreter)

    def __post_init__(self) -> None:
        """Subscribe first: what other handlers read here is up to date."""
        self.events.subscribe(self.note)

    def note(self, event: CallEvent) -> None:
        """Count an event."""
        match event:
            case FinalTranscript():
                self.words.append(event)
            case AnswerHeard(since_voice=float(since_voice)):
                self.waits.append(since_voice)
            case ToolStarted(at, call):
                self.calls[call.call_id] = CallRecord(call.name, at)
            case ToolEnded(at, call, outcome):
                run = self.calls[call.call_id]
                run.ended, run.is_error = at, outcome == "error"
            case AgentReplyEnded(is_interrupted=True):
                self.interruptions += 1
            case _:
                pass
