"""What may be claimed of a call at some point: silence, waits, calls, losses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.testing.call import CallUnderTest
from runner.testing.scenarios.model import ExpectTurn, Pattern
from runner.testing.witness import CallRecord


class AssertionNotMet(Exception):
    """An expectation that was not met, and what came instead."""

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(expected, came)
        self.expected = expected
        self.came = came


def check_claims(call: CallUnderTest, turn: ExpectTurn, calls_from: int) -> None:
    """Raise `AssertionNotMet` for the first claim that does not hold.

    `calls_from` is the number of the first tool call that counts.
    """
    for unmet in _unmet(call, turn, calls_from):
        raise unmet


def _unmet(
    call: CallUnderTest, turn: ExpectTurn, calls_from: int
) -> Iterator[AssertionNotMet]:
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
            yield AssertionNotMet(f"{turn.interruptions} interruptions", f"{count}")
    if turn.resumed is not None:
        yield from _check_resumed(call, turn.resumed)
    yield from _check_losses(call, turn)
    yield from _check_words(call, turn.never_says)


def _check_words(
    call: CallUnderTest, never: Sequence[Pattern]
) -> Iterator[AssertionNotMet]:
    for pattern in never:
        for speaker, text in call.said:
            if speaker == "agent" and pattern.matches(text):
                yield AssertionNotMet(f"the agent never says {pattern}", text)


def _check_latency(call: CallUnderTest, within: float) -> Iterator[AssertionNotMet]:
    longest = max(call.witness.waits, default=0.0)
    if longest > within:
        wish = f"every answer begins within {within:g} s"
        yield AssertionNotMet(wish, f"one began after {longest:.2f} s")


def _check_resumed(call: CallUnderTest, wanted: bool) -> Iterator[AssertionNotMet]:
    witness = call.witness
    if (witness.resumes > 0) is not wanted:
        wish = "the session is resumed" if wanted else "no session is resumed"
        came = f"{witness.resumes} resumed, {witness.fresh_starts} begun afresh"
        yield AssertionNotMet(wish, came)


def _check_silence(call: CallUnderTest, within: float) -> Iterator[AssertionNotMet]:
    wish = f"silence within {within * 1000:g} ms of the interruption"
    if not call.witness.interruptions:
        yield AssertionNotMet(wish, "the agent was not interrupted")
        return
    last = call.witness.interruptions[-1]
    if last.is_broken:
        yield AssertionNotMet(wish, "sound of the reply was played after it")
    elif last.silent_at is None:
        yield AssertionNotMet(wish, "playback was not stopped")
    elif last.silent_at - last.decided_at > within:
        took = (last.silent_at - last.decided_at) * 1000
        yield AssertionNotMet(wish, f"it took {took:.0f} ms")


def _check_calls(
    wanted: Sequence[str], any_order: bool, records: Sequence[CallRecord]
) -> Iterator[AssertionNotMet]:
    made = [each.message.name for each in records]
    is_met = sorted(made) == sorted(wanted) if any_order else made == list(wanted)
    if not is_met:
        order = ", in any order" if any_order else ""
        wish = f"calls of {', '.join(wanted)}{order}" if wanted else "no calls"
        yield AssertionNotMet(wish, ", ".join(made) or "none")


def _check_losses(call: CallUnderTest, turn: ExpectTurn) -> Iterator[AssertionNotMet]:
    if turn.no_errors and call.witness.errors:
        yield AssertionNotMet("no errors", "; ".join(call.witness.errors))
    failed = [each.tool for each in call.calls if each.is_error]
    if turn.no_errors and failed:
        yield AssertionNotMet("no errors", f"{', '.join(failed)} failed")
    losses = call.losses()
    if turn.nothing_dropped and losses:
        yield AssertionNotMet("nothing is dropped", "; ".join(losses))
