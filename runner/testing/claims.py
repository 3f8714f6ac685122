"""What may be claimed of a call at some point: silence, waits, calls, losses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.scenarios.model import ExpectTurn, Pattern
from runner.testing.call import CallUnderTest
from runner.testing.witness import CallRecord


class Unmet(Exception):
    """An expectation that was not met, and what came instead."""

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(expected, came)
        self.expected = expected
        self.came = came


def check_claims(call: CallUnderTest, turn: ExpectTurn, calls_from: int) -> None:
    """Raise `Unmet` for the first claim that does not hold.

    `calls_from` is the number of the first tool call that counts.
    """
    for unmet in _unmet(call, turn, calls_from):
        raise unmet


def _unmet(call: CallUnderTest, turn: ExpectTurn, calls_from: int) -> Iterator[Unmet]:
    if turn.silence_within is not None:
        yield from _check_silence(call, turn.silence_within)
    if turn.latency_within is not None:
        yield from _check_latency(call, turn.latency_within)
    if turn.tool_calls is not None:
        records = list(call.witness.calls.values())[calls_from:]
        yield from _check_calls(turn.tool_calls, turn.any_order, records)
    if turn.interruptions is not None:
        count = len(call.witness.interruptions)
        if count != turn.interruptions:
            yield Unmet(f"{turn.interruptions} interruptions", f"{count}")
    if turn.resumed is not None:
        yield from _check_resumed(call, turn.resumed)
    yield from _check_losses(call, turn)
    yield from _check_words(call, turn.never_says)


def _check_words(call: CallUnderTest, never: Sequence[Pattern]) -> Iterator[Unmet]:
    for pattern in never:
        for speaker, text in call.said:
            if speaker == "agent" and pattern.matches(text):
                yield Unmet(f"the agent never says {pattern}", text)


def _check_latency(call: CallUnderTest, within: float) -> Iterator[Unmet]:
    longest = max(call.witness.waits, default=0.0)
    if longest > within:
        wish = f"every answer begins within {within:g} s"
        yield Unmet(wish, f"one began after {longest:.2f} s")


def _check_resumed(call: CallUnderTest, wanted: bool) -> Iterator[Unmet]:
    line = call.witness.line
    if (line.resumes > 0) is not wanted:
        wish = "the session is resumed" if wanted else "no session is resumed"
        came = f"{line.resumes} resumed, {line.fresh_starts} begun afresh"
        yield Unmet(wish, came)


def _check_silence(call: CallUnderTest, within: float) -> Iterator[Unmet]:
    wish = f"silence within {within * 1000:g} ms of the interruption"
    if not call.witness.interruptions:
        yield Unmet(wish, "the agent was not interrupted")
        return
    last = call.witness.interruptions[-1]
    if last.is_broken:
        yield Unmet(wish, "sound of the reply was played after it")
    elif last.silent_at is None:
        yield Unmet(wish, "playback was not stopped")
    elif last.silent_at - last.decided_at > within:
        took = (last.silent_at - last.decided_at) * 1000
        yield Unmet(wish, f"it took {took:.0f} ms")


def _check_calls(
    wanted: Sequence[str], any_order: bool, records: Sequence[CallRecord]
) -> Iterator[Unmet]:
    made = [each.message.name for each in records]
    is_met = sorted(made) == sorted(wanted) if any_order else made == list(wanted)
    if not is_met:
        order = ", in any order" if any_order else ""
        wish = f"calls of {', '.join(wanted)}{order}" if wanted else "no calls"
        yield Unmet(wish, ", ".join(made) or "none")


def _check_losses(call: CallUnderTest, turn: ExpectTurn) -> Iterator[Unmet]:
    if turn.no_errors and call.witness.errors:
        yield Unmet("no errors", "; ".join(call.witness.errors))
    failed = [each.tool for each in call.calls if each.is_error]
    if turn.no_errors and failed:
        yield Unmet("no errors", f"{', '.join(failed)} failed")
    losses = call.losses()
    if turn.nothing_dropped and losses:
        yield Unmet("nothing is dropped", "; ".join(losses))
