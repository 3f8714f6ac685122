"""Calls with every fault in every phase: notices, messages, and nothing lost.

Each case is one call over real sockets between the client and a local service with
injected faults. The caller is greeted, asks for an order (the agent looks it up with a
tool), says thanks, and hangs up.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from runner.audio.virtual import SilentMicrophone
from runner.engine.engine import Engine
from runner.engine.transports import Dialer
from runner.protocol.client.actions import (
    Close,
    Notify,
    Outcome,
    Play,
    RunTool,
    Send,
)
from runner.protocol.client.config import ClientConfig, Timeouts
from runner.protocol.client.conversation import SAY_AGAIN
from runner.protocol.client.events import HangUp, Received, Say
from runner.protocol.client.session import ClientSession
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import (
    ClientMessage,
    SessionReady,
    SessionUpdate,
    ToolCall,
    ToolResult,
    TranscriptAgent,
)
from runner.service.app import LocalService
from runner.service.faults.parser import parse_fault
from runner.speech.interfaces import (
    AgentContext,
    AssistantMessage,
    HistoryMessage,
    ModelOutput,
    SystemMessage,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
)
from tests.fakes import FakeSpeaker
from tests.fakes import Outcome as ToolOutcome
from tests.service.scripted import ScriptedSpeech

pytestmark = pytest.mark.slow

GREETING = "Hello."
QUESTION, THANKS = "Where is my order?", "Thanks."
ANSWERS = ("It says shipped.", f"You said: {THANKS}")


def decide(
    brief: AgentContext, history: Sequence[HistoryMessage]
) -> Iterable[ModelOutput]:
    match history[-1]:
        case UserMessage(text="Where is my order?"):
            yield ToolCallRequest("look", {"at": "it"})
        case ToolMessage(result=str(result)):
            yield TextChunk(f"It says {result.strip(chr(34))}.")
        case UserMessage(text=text):
            yield TextChunk(f"You said: {text}")
        case SystemMessage(text) if text == SAY_AGAIN:
            said = [turn.text for turn in history if isinstance(turn, AssistantMessage)]
            yield TextChunk(said[-1])
        case _:
            yield TextChunk("Hm.")


class BriefVoice:
    """Synthesizes 40 ms for every sentence, so that tests do not wait for speech."""

    sample_rate = 24_000

    def synthesize(self, text: str, cancelled: Any) -> Iterator[bytes]:
        del text, cancelled
        yield bytes(1_920)


@dataclass(frozen=True, slots=True)
class Case:
    """A fault in a phase, and the expected differences from a call without faults.

    `sees` are patterns of the notices, in order; `lost` are answers that are missing;
    `sessions` is the number of sessions at the service.
    """

    name: str
    faults: str  # one a line
    sees: tuple[str, ...] = ()
    sessions: int = 1
    drops: int | None = None
    outcome: Outcome = Outcome.CLEAN
    reason: str = "everything has been said"
    lost: tuple[str, ...] = ()
    answers: int = 1  # how often a call is answered: again if the first one was lost


@dataclass(slots=True)
class Story:
    """The events and actions of a call, in order."""

    notices: list[str] = field(default_factory=list)
    sent: list[ClientMessage] = field(default_factory=list)
    received: list[object] = field(default_factory=list)
    ran: Counter[str] = field(default_factory=Counter)
    sounds: int = 0
    close: Close | None = None
    drops: int = 0

    def observe(self, at: float, what: object) -> None:
        del at
        match what:
            case Notify(text):
                self.notices.append(text)
            case Send(message):
                self.sent.append(message)
            case Received(message):
                self.received.append(message)
            case RunTool(call):
                self.ran[call.call_id] += 1
            case Play(_):
                self.sounds += 1
            case Close():
                self.close = what

    @property
    def said(self) -> list[str]:
        """The texts of the agent, without interrupted ones."""
        return [
            message.text
            for message in self.received
            if isinstance(message, TranscriptAgent) and not message.interrupted
        ]


class SilentSpeaker(FakeSpeaker):
    """A speaker that plays everything at once."""

    def play(self, pcm: bytes) -> None:
        super().play(pcm)
        self.play_all()


async def look(call: ToolCall) -> ToolOutcome:
    return ToolOutcome('"shipped"')


async def hold_call(case: Case) -> Story:
    """Runs the call with the faults of a case."""
    story = Story()
    config = ClientConfig(
        session={
            "system_prompt": "Be brief.",
            "greeting": GREETING,
            "tools": [{"type": "function", "name": "look", "description": "Look."}],
        },
        tools={"look": ToolPolicy()},
        carry_over=True,
        patience=Timeouts(ready=4.0, reply=2.0, sound=2.0),
    )
    faults = [parse_fault(line) for line in case.faults.splitlines() if line.strip()]
    speech = ScriptedSpeech({}, decide, voice=BriefVoice())
    async with (
        asyncio.timeout(40),
        LocalService(speech, faults=faults, max_sessions=4) as server,
        SilentMicrophone() as microphone,
    ):
        session = ClientSession(config, jitter=lambda: 0.0)
        engine = Engine(
            session,
            Dialer(server.url, ping_seconds=0.3, pong_seconds=0.3),
            microphone=microphone,
            speaker=SilentSpeaker(),
            run_tool=look,
            observers=[story.observe],
        )
        talking = asyncio.create_task(talk(engine))
        try:
            await engine.run()
        finally:
            talking.cancel()
        story.drops = session.connection.drops
    return story


async def talk(engine: Engine) -> None:
    """Says each line of the caller when the session is settled."""
    for line in (QUESTION, THANKS):
        await engine.settled.wait()
        engine.post(Say(line))
        await engine.settled.wait()
    engine.post(HangUp("everything has been said", after_playback=True))


LOST = "the line was lost, reconnecting…"
BACK = r"back after \d\.\d s$"
FRESH = r"back after \d\.\d s in a fresh session, told of the conversation so far "
AGAIN = "; trying again in"

OPENING = [
    Case("nothing goes wrong", ""),
    Case(
        "a proxy answers 502", "refuse status=502 times=2", ("HTTP 502.*" + AGAIN,) * 2
    ),
    Case("a proxy answers 503", "refuse status=503 times=1", ("HTTP 503.*" + AGAIN,)),
    Case("too many requests", "refuse status=429 times=1", ("HTTP 429.*" + AGAIN,)),
    Case(
        "the key is refused at the door",
        "refuse status=401",
        outcome=Outcome.REJECTED,
        reason=r"does not accept the key .*HTTP 401",
        sessions=0,
        lost=(GREETING, *ANSWERS),
    ),
    Case(
        "nothing is at the address",
        "refuse status=404",
        outcome=Outcome.FAILED,
        reason="HTTP 404",
        sessions=0,
        lost=(GREETING, *ANSWERS),
    ),
    Case(
        "drop after session.update", "drop on=session.update", ("lost; trying again",)
    ),
    Case(
        "reset after session.update",
        "drop on=session.update how=reset",
        ("lost; trying again",),
    ),
    Case(
        "close 1001 after session.update",
        "close code=1001 on=session.update",
        ("1001.*" + AGAIN,),
    ),
    Case(
        "close 1011 after session.update",
        "close code=1011 on=session.update",
        ("1011.*" + AGAIN,),
    ),
    Case(
        "close 1008 after session.update",
        "close code=1008 on=session.update",
        outcome=Outcome.FAILED,
        reason="1008",
        sessions=0,
        lost=(GREETING, *ANSWERS),
    ),
    Case(
        "at_capacity at the start",
        "error code=at_capacity phase=opening",
        ("at_capacity.*" + AGAIN,),
    ),
    Case(
        "INTERNAL_ERROR at the start",
        "error code=INTERNAL_ERROR phase=opening",
        ("INTERNAL_ERROR.*" + AGAIN,),
    ),
    Case(
        "server_error until given up",
        "error code=server_error phase=opening times=9",
        ("server_error.*" + AGAIN,) * 3,
        outcome=Outcome.FAILED,
        reason="server_error",
        sessions=0,
        lost=(GREETING, *ANSWERS),
    ),
    Case(
        "UNAUTHORIZED at the start",
        "error code=UNAUTHORIZED phase=opening",
        outcome=Outcome.REJECTED,
        reason="does not accept the key .*UNAUTHORIZED",
        sessions=0,
        lost=(GREETING, *ANSWERS),
    ),
    Case(
        "invalid_value at the start",
        "error code=invalid_value message='Invalid voice' phase=opening",
        outcome=Outcome.FAILED,
        reason="Invalid voice",
        sessions=0,
        lost=(GREETING, *ANSWERS),
    ),
    Case(
        "session.ready never comes",
        "lose on=session.ready",
        outcome=Outcome.FAILED,
        reason="did not answer in time",
        sessions=0,
        lost=(GREETING, *ANSWERS),
    ),
    Case("garbage before ready", "garbage on=session.updated", ("unreadable",)),
    Case(
        "half-open before ready",
        "half-open on=session.update for=20s",
        ("; trying again",),
    ),
]
GREETED = [
    Case("drop after ready", "drop on=session.ready", (LOST, BACK), drops=1),
    Case("drop as the greeting begins", "drop on=reply.started", (LOST, BACK), drops=1),
    Case(
        "drop in the greeting's sound",
        "drop on=reply.audio:2",
        (LOST, BACK),
        drops=1,
        lost=(GREETING,),
    ),
    Case(
        "close 1011 in the greeting's sound",
        "close code=1011 on=reply.audio:2",
        (r"\(1011\).*, reconnecting…", BACK),
        drops=1,
        lost=(GREETING,),
    ),
    Case(
        "half-open as the greeting begins",
        "half-open on=reply.started for=20s",
        ("reconnecting…", BACK),
        drops=1,
    ),
    Case(
        "session_expired in the greeting",
        "error code=session_expired on=reply.audio:2",
        (r"session_expired.*, reconnecting…", "in a fresh session"),
        sessions=2,
        drops=1,
        lost=(GREETING,),
    ),
]
TALKING = [
    Case(
        "drop on the caller's words",
        "drop on=conversation.message",
        (LOST, BACK),
        drops=1,
    ),
    Case(
        "reset on the caller's words",
        "drop on=conversation.message how=reset",
        (LOST, BACK),
        drops=1,
    ),
    Case("drop on reply.create", "drop on=reply.create", (LOST, BACK), drops=1),
    Case(
        "drop on every other reply",
        "drop on=reply.started times=3 every=2",
        (LOST, BACK) * 2,
    ),
    Case(
        "close 1001 as a reply begins",
        "close code=1001 on=reply.started:2",
        (r"\(1001\).*, reconnecting…", BACK),
        drops=1,
    ),
    Case(
        "an unknown close code as a reply begins",
        "close code=4000 on=reply.started:2",
        (r"\(4000\).*, reconnecting…", BACK),
        drops=1,
    ),
    Case(
        "the service closes normally",
        "close code=1000 on=reply.done",
        reason="the service closed the session",
        lost=ANSWERS,
    ),
    Case(
        "UNAUTHORIZED in the call",
        "error code=UNAUTHORIZED on=reply.done",
        outcome=Outcome.REJECTED,
        reason="does not accept the key",
        lost=ANSWERS,
    ),
    Case(
        "internal_error in the call",
        "error code=internal_error on=reply.done",
        ("the service says internal_error",),
    ),
    Case(
        "an unknown error in the call",
        "error code=brand_new on=reply.done",
        ("the service says brand_new",),
    ),
    Case(
        "invalid_audio in the call",
        "error code=invalid_audio on=reply.started:2",
        ("the service says invalid_audio",),
    ),
    Case("slow both ways", "slow by=60ms jitter=60ms direction=both"),
    Case("bursts", "burst period=300ms direction=both"),
    Case("reply.done comes twice", "duplicate on=reply.done times=5"),
    Case("session.ready comes twice", "duplicate on=session.ready"),
    Case("reply.done comes late", "late on=reply.done:2 by=300ms"),
    Case("messages change places", "reorder on=* chance=0.2 direction=down"),
    Case(
        "a reply never ends",
        "lose on=reply.done:3",
        ("never ended: going on without its end",),
    ),
    Case(
        "a reply begins and is not heard",
        "silence on=reply.started:3",
        ("not heard: asking once more",),
        lost=ANSWERS[:1],
    ),
    *[
        Case(
            f"garbage in the call ({form})",
            f"garbage on=reply.started form={form}",
            ("unreadable",),
        )
        for form in (
            "text",
            "truncated",
            "nested",
            "array",
            "untyped",
            "mistyped",
            "binary",
        )
    ],
    Case("10,000 unknown messages", "flood on=reply.started:2 count=10000"),
    Case(
        "a thousand times the same sound", "flood on=reply.audio:3 count=1000 of=copies"
    ),
]
CALLING = [
    Case("drop on tool.call", "drop on=tool.call", (LOST, BACK), drops=1),
    Case("drop on tool.result", "drop on=tool.result", (LOST, BACK), drops=1),
    Case(
        "an outage on tool.call", "outage on=tool.call for=800ms", (LOST, BACK), drops=1
    ),
    Case(
        "half-open on tool.call",
        "half-open on=tool.call for=20s",
        ("reconnecting…", BACK),
        drops=1,
    ),
    Case("tool.call comes twice", "duplicate on=tool.call"),
    # The caller has gone on by then; the call is answered all the same.
    Case("tool.call comes late", "late on=tool.call by=300ms", lost=ANSWERS[:1]),
    Case(
        "half-open on the caller's words",
        "half-open on=reply.done for=20s",
        ("reconnecting…", BACK),
        drops=1,
    ),
    Case(
        "half-open as the reply begins",
        "half-open on=reply.started:2 for=20s",
        ("reconnecting…", BACK),
        drops=1,
    ),
    Case(
        "half-open as the result goes out",
        "half-open on=reply.done:2 for=20s",
        ("reconnecting…", BACK),
        drops=1,
        answers=2,
    ),
    Case(
        "the result is never taken in",
        "lose on=tool.result",
        ("no answer came: asking once more",),
        lost=ANSWERS[:1],
    ),
]
RESUMING = [
    *[
        Case(
            f"{code} on the resume",
            f"drop on=tool.call\nerror code={code} phase=resume",
            (LOST, FRESH + rf"\({code}"),
            sessions=2,
            drops=1,
        )
        for code in (
            "session_not_found",
            "session_expired",
            "session_forbidden",
            "unauthorized",
            "invalid_format",
        )
    ],
    Case(
        "at_capacity on the resume",
        "drop on=tool.call\nerror code=at_capacity phase=resume",
        (LOST, BACK),
        drops=1,
    ),
    Case(
        "close 1008 on the resume",
        "drop on=tool.call\nclose code=1008 on=session.resume",
        (LOST, FRESH + r"\(.*1008"),
        sessions=2,
        drops=1,
    ),
    Case(
        "a proxy's 502 on the resume",
        "drop on=tool.call\nrefuse on=tool.call status=502 for=400ms",
        (LOST, BACK),
        drops=1,
    ),
    Case(
        "drop on the resume",
        "drop on=tool.call\ndrop on=session.resume",
        (LOST, BACK),
        drops=1,
    ),
    Case(
        "the resume is not answered",
        "drop on=tool.call\nlose on=session.ready:2",
        (LOST, BACK),
        drops=1,
    ),
]
ENDING = [
    Case("drop on session.end", "drop on=session.end"),
    Case("close 1011 on session.end", "close code=1011 on=session.end"),
    Case("half-open on session.end", "half-open on=session.end for=20s"),
    Case("session.ended never comes", "lose on=session.ended"),
    Case(
        "an error on session.end",
        "error code=internal_error on=session.end",
        ("internal_error",),
    ),
]
CASES = [*OPENING, *GREETED, *TALKING, *CALLING, *RESUMING, *ENDING]


@pytest.fixture(scope="module")
def stories() -> dict[str, Story | BaseException]:
    """Runs all calls concurrently, because they mostly wait."""

    async def hold_all() -> dict[str, Story | BaseException]:
        held = await asyncio.gather(*map(hold_call, CASES), return_exceptions=True)
        return {case.name: story for case, story in zip(CASES, held, strict=True)}

    return asyncio.run(hold_all())


@pytest.mark.xdist_group("faults")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_call_survives(case: Case, stories: dict[str, Story | BaseException]) -> None:
    story = stories[case.name]
    if isinstance(story, BaseException):
        raise story

    # Notices.
    assert story.close is not None
    assert story.close.outcome is case.outcome, story
    assert re.search(case.reason, story.close.reason), story.close
    notices = iter(story.notices)
    for pattern in case.sees:
        assert any(re.search(pattern, text) for text in notices), (
            pattern,
            story.notices,
        )
    # Lost answers.
    wanted = [words for words in (GREETING, *ANSWERS) if words not in case.lost]
    missing = [words for words in wanted if words not in story.said]
    assert not missing, (story.said, story.notices)
    assert story.said.count(GREETING) <= 1, "nobody is greeted twice"
    # Messages.
    updates = [m for m in story.sent if isinstance(m, SessionUpdate)]
    ready = {m.session_id for m in story.received if isinstance(m, SessionReady)}
    assert len(ready) == case.sessions
    assert len(updates) >= case.sessions
    results = Counter(m.call_id for m in story.sent if isinstance(m, ToolResult))
    assert all(count == case.answers for count in results.values())
    assert all(count == 1 for count in story.ran.values()), "run once"
    if case.drops is not None:
        assert story.drops == case.drops
