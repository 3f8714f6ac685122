"""Performs the turns of a scenario on a call and checks its expectations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from runner.errors import counted
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
    """The verdict of a judge."""

    @property
    def passes(self) -> bool: ...

    @property
    def votes_for(self) -> int: ...

    @property
    def votes(self) -> int: ...

    @property
    def reason(self) -> str: ...


class Judge(Protocol):
    """Decides whether a call meets a criterion in plain text."""

    async def decide(
        self,
        criterion: str,
        conversation: Sequence[tuple[str, str]],
        calls: Sequence[CallSeen],
    ) -> Verdict: ...


# Limit for the end of a call after an `end` turn.
_END_SECONDS = 60.0


@dataclass(slots=True)
class ScenarioRun:
    """The execution of one scenario; call `perform` for each turn in order.

    Utterances and tool calls are searched from the last turn of the caller; a tool call
    is matched once.
    """

    call: CallUnderTest
    judge: Judge | None = None
    left_out: list[str] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    has_ended: bool = False
    _utterances_from: int = 0
    _is_interrupted: bool = False  # by the last turn of the caller
    _calls_from: int = 0
    _answer_from: int = 0  # first tool call after the last turn of the caller

    async def perform(self, turn: Turn) -> Failure | None:
        """Performs a turn; returns the failure, if any."""
        try:
            await self._perform(turn)
        except AssertionNotMet as unmet:
            return Failure(turn.place, unmet.expected, unmet.came)
        except ExpectationNotMet as never:
            return Failure(turn.place, _expected(turn), str(never))
        return None

    async def finish(self, place: Place) -> Failure | None:
        """Hangs up if the call is still open, and checks that it ends cleanly."""
        try:
            if self.call.observer.close is None:
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
                # Only a session that has started can be resumed.
                await self.call.waits_for(lambda: self.call.observer.ready_at > 0)
                self.call.drop_line(turn.drops)
            case WaitTurn():
                await self.call.wait(turn.seconds)
            case EndTurn():
                await self._see_end(turn)

    async def _speak(self, turn: UserTurn) -> None:
        call = self.call
        if turn.interrupts_after is None:
            await call.agent_finished()
            self._reset_search()
            await call.say(turn.says)
        else:
            await call.wait_until_playing(turn.says, turn.interrupts_after)
            self._reset_search()
            await call.speak(turn.says)
        self._is_interrupted = turn.interrupts_after is not None

    def _reset_search(self) -> None:
        """Makes later expectations refer to the answer to the next utterance."""
        self._utterances_from = len(self.call.observer.said)
        self._calls_from = self._answer_from = len(self.call.observer.calls)

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
        """Returns the first matching utterance; without a pattern, the first one."""

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
                _expected(turn), _quoted(said) or "the agent said nothing"
            )
        found = find()
        if found is not None:
            self._utterances_from = self.call.observer.said.index(found)
        return found

    def _utterances(self) -> Sequence[Utterance]:
        said = self.call.observer.said[self._utterances_from :]
        # The rest of the interrupted reply is not an answer.
        if self._is_interrupted and said and said[0].interrupted:
            said = said[1:]
        return [each for each in said if each.speaker == "agent"]

    def _check_wait(self, within: float, found: Utterance) -> None:
        heard_at = found.audible_at or found.at
        waited = heard_at - self.call.observer.quiet_since(heard_at)
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
            records = list(self.call.observer.calls.values())
            for number, record in enumerate(records[self._calls_from :]):
                if _fits(turn, record):
                    return self._calls_from + number
            return None

        if not await self.call.waits_for(lambda: find() is not None):
            raise AssertionNotMet(_expected(turn), self._describe_calls())
        number = find()
        assert number is not None, "found a moment ago"
        self._calls_from = number + 1
        record = list(self.call.observer.calls.values())[number]
        if turn.within is not None:
            waited = record.began - self.call.observer.quiet_since(record.began)
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
            expected = "fails" if turn.fails else "returns a result"
            raise AssertionNotMet(
                f"{turn.tool} {expected}", f"it came to {record.result}"
            )

    def _describe_calls(self) -> str:
        records = list(self.call.observer.calls.values())[self._calls_from :]
        if not records:
            said = _quoted([each.text for each in self._utterances()])
            return "no call" + (f"; the agent said {said}" if said else "")
        return "; ".join(
            f"{each.message.name}({_json(each.message.arguments)})" for each in records
        )

    # ------------------------------------------------------------------------- the end

    async def _see_end(self, turn: EndTurn) -> None:
        self.has_ended = True
        if turn.by == "caller" and self.call.observer.close is None:
            await self.call.hang_up()
        ending = await self.call.ended(turn.within or _END_SECONDS)
        if not ending.is_clean or turn.by not in (None, ending.by):
            raise AssertionNotMet(_expected(turn), f"{ending.by}: {ending.reason}")


def _fits(turn: ToolCallTurn, record: CallRecord) -> bool:
    given = dict(record.message.arguments)
    if record.message.name != turn.tool:
        return False
    if turn.arguments is not None and given != dict(turn.arguments):
        return False
    return turn.matching is None or fits(given, turn.matching)


def _expected(turn: Turn) -> str:
    """Returns a description of what a turn expects."""
    match turn:
        case AgentTurn(says=patterns) if patterns:
            return f"the agent says {' or '.join(str(each) for each in patterns)}"
        case AgentTurn():
            return "the agent says something"
        case ToolCallTurn(tool=tool, arguments=None, matching=None):
            return f"a call of {tool}"
        case ToolCallTurn(tool=tool, arguments=None, matching=schema):
            return f"a call of {tool} with arguments that match {_json(schema)}"
        case ToolCallTurn(tool=tool, arguments=arguments):
            return f"a call of {tool}({_json(arguments)})"
        case EndTurn(by=None):
            return "the call ends"
        case EndTurn(by=party):
            return f"the {party} ends the call"
        case UserTurn(says=words):
            return f"the caller says {words!r}"
        case _:
            return "the call goes on"


def _json(arguments: Any) -> str:
    return json.dumps(arguments, ensure_ascii=False)


def _quoted(said: Sequence[str]) -> str:
    return " ".join(f"“{text}”" for text in said)


# The checks of `expect`: silence, latency, tool calls, losses.


class AssertionNotMet(Exception):
    """An expectation that was not met, and the actual event."""

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(expected, came)
        self.expected = expected
        self.came = came


def check_claims(call: CallUnderTest, turn: ExpectTurn, calls_from: int) -> None:
    """Raises `AssertionNotMet` for the first check that fails.

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
        records = list(call.observer.calls.values())[calls_from:]
        yield from _check_calls(turn.tool_calls, turn.any_order, records)
    if turn.interruptions is not None:
        count = len(call.observer.interruptions)
        if count != turn.interruptions:
            yield AssertionNotMet(
                counted(turn.interruptions, "interruption"), f"{count}"
            )
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
    longest = max(call.observer.waits, default=0.0)
    if longest > within:
        expected = f"every answer begins within {within:g} s"
        yield AssertionNotMet(expected, f"one began after {longest:.2f} s")


def _check_resumed(call: CallUnderTest, wanted: bool) -> Iterator[AssertionNotMet]:
    observer = call.observer
    if (observer.resumes > 0) is not wanted:
        expected = "the session is resumed" if wanted else "no session is resumed"
        came = f"{observer.resumes} resumed, {observer.fresh_starts} begun afresh"
        yield AssertionNotMet(expected, came)


def _check_silence(call: CallUnderTest, within: float) -> Iterator[AssertionNotMet]:
    expected = f"silence within {within * 1000:g} ms of the interruption"
    if not call.observer.interruptions:
        yield AssertionNotMet(expected, "the agent was not interrupted")
        return
    last = call.observer.interruptions[-1]
    if last.is_broken:
        yield AssertionNotMet(expected, "audio of the reply was played after it")
    elif last.silent_at is None:
        yield AssertionNotMet(expected, "playback was not stopped")
    elif last.silent_at - last.decided_at > within:
        took = (last.silent_at - last.decided_at) * 1000
        yield AssertionNotMet(expected, f"it took {took:.0f} ms")


def _check_calls(
    wanted: Sequence[str], any_order: bool, records: Sequence[CallRecord]
) -> Iterator[AssertionNotMet]:
    made = [each.message.name for each in records]
    is_met = sorted(made) == sorted(wanted) if any_order else made == list(wanted)
    if not is_met:
        order = ", in any order" if any_order else ""
        expected = f"calls of {', '.join(wanted)}{order}" if wanted else "no calls"
        yield AssertionNotMet(expected, ", ".join(made) or "none")


def _check_losses(call: CallUnderTest, turn: ExpectTurn) -> Iterator[AssertionNotMet]:
    if turn.no_errors and call.observer.errors:
        yield AssertionNotMet("no errors", "; ".join(call.observer.errors))
    failed = [each.tool for each in call.calls if each.is_error]
    if turn.no_errors and failed:
        yield AssertionNotMet("no errors", f"{', '.join(failed)} failed")
    losses = call.losses()
    if turn.nothing_dropped and losses:
        yield AssertionNotMet("nothing is dropped", "; ".join(losses))
