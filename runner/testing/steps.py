"""Performs the turns of a scenario on a call, and says which one was not met."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from runner.testing.call import CallRecord, CallUnderTest, ExpectationNotMet, Utterance
from runner.testing.results import CallSeen, Failure
from runner.testing.scenarios.model import (
    AgentTurn,
    ConnectionTurn,
    EndTurn,
    ExpectTurn,
    Pattern,
    Place,
    ToolCallTurn,
    Turn,
    UserTurn,
    WaitTurn,
)
from runner.testing.virtual_clock import real_work
from runner.tools.arguments import fits


class Verdict(Protocol):
    """What a judge found."""

    @property
    def passes(self) -> bool: ...

    @property
    def votes_for(self) -> int: ...

    @property
    def votes(self) -> int: ...

    @property
    def reason(self) -> str: ...


class Judge(Protocol):
    """Somebody who decides what no pattern can."""

    async def decide(
        self,
        criterion: str,
        conversation: Sequence[tuple[str, str]],
        calls: Sequence[CallSeen],
    ) -> Verdict: ...


# How long a call may go on after the last turn said that it ends.
_END_SECONDS = 60.0


@dataclass(slots=True)
class ScenarioRun:
    """One scenario on its way through a call; `perform` each turn in order.

    Words and calls are looked for since the caller spoke last; a call that was found
    is not found again.
    """

    call: CallUnderTest
    judge: Judge | None = None
    left_out: list[str] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    has_ended: bool = False
    _words_from: int = 0
    _is_interrupted: bool = False  # the caller's last words cut the agent off
    _calls_from: int = 0
    _answer_from: int = 0  # the first call that answers the caller's last words

    async def perform(self, turn: Turn) -> Failure | None:
        """Perform a turn; return what was not met, if anything."""
        try:
            await self._perform(turn)
        except AssertionNotMet as unmet:
            return Failure(turn.place, unmet.expected, unmet.came)
        except ExpectationNotMet as never:
            return Failure(turn.place, _wish(turn), str(never))
        return None

    async def finish(self, place: Place) -> Failure | None:
        """Hang up if nobody has yet, and see that the call ends cleanly."""
        try:
            if self.call.witness.close is None:
                await self.call.hang_up()
            ending = await self.call.ended()
        except ExpectationNotMet as never:
            return Failure(place, "the call ends", str(never))
        if not ending.is_clean:
            return Failure(place, "the call ends cleanly", ending.reason)
        return None

    async def _perform(self, turn: Turn) -> None:
        match turn:
            case UserTurn():
                await self._speak(turn)
            case AgentTurn():
                await self._hear_agent(turn)
            case ToolCallTurn():
                await self._see_call(turn)
            case ExpectTurn():
                await self.call.agent_finished()
                check_claims(self.call, turn, self._answer_from)
                await self._ask_judge(turn.judge)
            case ConnectionTurn():
                # Before there is a session there is nothing that could be resumed.
                await self.call.waits_for(lambda: self.call.witness.ready_at > 0)
                self.call.drop_line(turn.drops)
            case WaitTurn():
                await self.call.wait(turn.seconds)
            case EndTurn():
                await self._see_end(turn)

    async def _speak(self, turn: UserTurn) -> None:
        call = self.call
        if turn.interrupts_after is None:
            await call.agent_finished()
            self._forget_what_was()
            await call.say(turn.says)
        else:
            await call.until_sounding(turn.says, turn.interrupts_after)
            self._forget_what_was()
            await call.speak(turn.says)
        self._is_interrupted = turn.interrupts_after is not None

    def _forget_what_was(self) -> None:
        """What is expected from here on answers the words that are to be said."""
        self._words_from = len(self.call.witness.said)
        self._calls_from = self._answer_from = len(self.call.witness.calls)

    # ---------------------------------------------------------------- the agent's words

    async def _hear_agent(self, turn: AgentTurn) -> None:
        found = await self._find_words(turn)
        if turn.never:
            await self.call.agent_finished()
            for utterance in self._utterances():
                for pattern in turn.never:
                    if pattern.matches(utterance.text):
                        raise AssertionNotMet(
                            f"the agent never says {pattern}", utterance.text
                        )
        if found is not None and turn.within is not None:
            self._check_wait(turn.within, found)
        await self._ask_judge(turn.judge)

    async def _find_words(self, turn: AgentTurn) -> Utterance | None:
        """Return what fits, or the first thing said where anything would."""

        def find() -> Utterance | None:
            for utterance in self._utterances():
                if not turn.says:
                    return utterance
                if any(pattern.matches(utterance.text) for pattern in turn.says):
                    return utterance
            return None

        if not turn.says and turn.never and turn.within is None and not turn.judge:
            return None
        if not await self.call.waits_for(lambda: find() is not None):
            said = [each.text for each in self._utterances()]
            raise AssertionNotMet(
                _wish(turn), _quoted(said) or "the agent said nothing"
            )
        found = find()
        if found is not None:
            self._words_from = self.call.witness.said.index(found)
        return found

    def _utterances(self) -> Sequence[Utterance]:
        said = self.call.witness.said[self._words_from :]
        # What an interruption left of the reply before is no answer to it.
        if self._is_interrupted and said and said[0].interrupted:
            said = said[1:]
        return [each for each in said if each.speaker == "agent"]

    def _check_wait(self, within: float, found: Utterance) -> None:
        heard_at = found.sounded_at or found.at
        waited = heard_at - self.call.witness.quiet_since(heard_at)
        if waited > within:
            raise AssertionNotMet(
                f"the agent answers within {within:g} s",
                f"it answered after {waited:.2f} s: {found.text}",
            )

    async def _ask_judge(self, criterion: str | None) -> None:
        if criterion is None:
            return
        if self.judge is None:
            self.left_out.append(f"judge: {criterion}")
            return
        await self.call.agent_finished()
        with real_work():
            verdict = await self.judge.decide(
                criterion, self.call.said, self.call.calls
            )
        self.verdicts.append(f"{criterion}: {verdict.votes_for} of {verdict.votes}")
        if not verdict.passes:
            raise AssertionNotMet(f"the judge finds: {criterion}", verdict.reason)

    # ----------------------------------------------------------------------- the calls

    async def _see_call(self, turn: ToolCallTurn) -> None:
        def find() -> int | None:
            records = list(self.call.witness.calls.values())
            for number, record in enumerate(records[self._calls_from :]):
                if _fits(turn, record):
                    return self._calls_from + number
            return None

        if not await self.call.waits_for(lambda: find() is not None):
            raise AssertionNotMet(_wish(turn), self._describe_calls())
        number = find()
        assert number is not None, "found a moment ago"
        self._calls_from = number + 1
        record = list(self.call.witness.calls.values())[number]
        if turn.within is not None:
            waited = record.began - self.call.witness.quiet_since(record.began)
            if waited > turn.within:
                came = f"it was called after {waited:.2f} s"
                raise AssertionNotMet(
                    f"{turn.tool} is called within {turn.within:g} s", came
                )
        if turn.fails is not None:
            await self._see_outcome(turn, record)

    async def _see_outcome(self, turn: ToolCallTurn, record: CallRecord) -> None:
        await self.call.waits_for(lambda: record.ended is not None)
        if record.ended is None:
            raise AssertionNotMet(f"{turn.tool} comes to an end", "it was cancelled")
        if record.is_error is not turn.fails:
            wish = "fails" if turn.fails else "returns a result"
            raise AssertionNotMet(f"{turn.tool} {wish}", f"it came to {record.result}")

    def _describe_calls(self) -> str:
        records = list(self.call.witness.calls.values())[self._calls_from :]
        if not records:
            said = _quoted([each.text for each in self._utterances()])
            return "no call" + (f"; the agent said {said}" if said else "")
        return "; ".join(
            f"{each.message.name}({_spelt(each.message.arguments)})" for each in records
        )

    # ------------------------------------------------------------------------- the end

    async def _see_end(self, turn: EndTurn) -> None:
        self.has_ended = True
        if turn.by == "caller" and self.call.witness.close is None:
            await self.call.hang_up()
        ending = await self.call.ended(turn.within or _END_SECONDS)
        if not ending.is_clean or turn.by not in (None, ending.by):
            raise AssertionNotMet(_wish(turn), f"{ending.by}: {ending.reason}")


def _fits(turn: ToolCallTurn, record: CallRecord) -> bool:
    given = dict(record.message.arguments)
    if record.message.name != turn.tool:
        return False
    if turn.arguments is not None and given != dict(turn.arguments):
        return False
    return turn.matching is None or fits(given, turn.matching)


def _wish(turn: Turn) -> str:
    """Return what a turn asks for, in words."""
    match turn:
        case AgentTurn(says=patterns) if patterns:
            return f"the agent says {' or '.join(str(each) for each in patterns)}"
        case AgentTurn():
            return "the agent says something"
        case ToolCallTurn(tool=tool, arguments=None, matching=None):
            return f"a call of {tool}"
        case ToolCallTurn(tool=tool, arguments=None, matching=schema):
            return f"a call of {tool} with arguments that match {_spelt(schema)}"
        case ToolCallTurn(tool=tool, arguments=arguments):
            return f"a call of {tool}({_spelt(arguments)})"
        case EndTurn(by=None):
            return "the call ends"
        case EndTurn(by=party):
            return f"the {party} ends the call"
        case UserTurn(says=words):
            return f"the caller says {words!r}"
        case _:
            return "the call goes on"


def _spelt(arguments: Any) -> str:
    return json.dumps(arguments, ensure_ascii=False)


def _quoted(said: Sequence[str]) -> str:
    return " ".join(f"“{text}”" for text in said)


# What may be claimed of a call at some point: silence, waits, calls, losses.


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
