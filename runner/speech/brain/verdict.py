"""Judges a call that a model wants: make it, ask for what it lacks, or drop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.speech.brain.decision import Call
from runner.speech.brain.farewell import allows_ending
from runner.speech.brain.grounding import gather, ground
from runner.speech.brain.prompt import merge_pending
from runner.speech.brain.question import relevance, slot_question
from runner.speech.brain.signature import Signature
from runner.speech.parts import AgentSaid, CallerSaid, Speak, ToolUsed, Turn, UseTool


def judge(
    tools: Sequence[Signature],
    history: Sequence[Turn],
    call: Call | None,
    *,
    is_small: bool,
) -> UseTool | Speak | None:
    """Return the call to make, the question to ask, or None: the agent should speak.

    A small model has to name a tool whatever was said, so what cannot be held against
    the caller's words must at least be about the same thing.
    """
    request = last_request(history)
    tool = next((t for t in tools if call and t.name == call.name), None)
    verdict = _judge(tool, history, call, request, is_small) if call and tool else None
    if is_small and not isinstance(verdict, UseTool):
        other = _plain_tool(tools, tool, request)
        if other is not None:
            return UseTool(other.name)
    return verdict


def find_pending(
    tools: Sequence[Signature], history: Sequence[Turn]
) -> Signature | None:
    """Return the tool for which the agent asked a value just before the last words."""
    if len(history) < 3 or len(merge_pending(history)) == len(history):
        return None
    asked = history[-2]
    wanted = (asked.asked_for or "") if isinstance(asked, AgentSaid) else ""
    name = wanted.rpartition(".")[0]
    return next((tool for tool in tools if tool.name == name), None)


def without_pending(
    tools: Sequence[Signature], history: Sequence[Turn]
) -> Sequence[Turn] | None:
    """Return the history without the request for which a value was asked.

    None when the caller's last words are about no other tool.
    """
    pending, said = find_pending(tools, history), history[-1]
    if pending is None or not isinstance(said, CallerSaid):
        return None
    if any(relevance(tool, said.text) for tool in tools if tool != pending):
        return [*history[:-3], said]
    return None


def last_request(history: Sequence[Turn]) -> str:
    """Return the caller's last words, with the request that they complete."""
    last = merge_pending(history)[-1]
    return last.text if isinstance(last, CallerSaid) else ""


def _judge(
    tool: Signature,
    history: Sequence[Turn],
    call: Call,
    request: str,
    is_small: bool,
) -> UseTool | Speak | None:
    if tool.ends_call:
        return UseTool(tool.name) if allows_ending(history) else None
    if (
        is_small
        and all(slot.is_free_text for slot in tool.required)
        and not relevance(tool, request)
    ):
        return None
    grounded = ground(tool, call.arguments, gather(history))
    if not grounded.missing:
        if _is_repeated(tool, grounded.arguments, history):
            return None
        return UseTool(tool.name, grounded.arguments)
    if not relevance(tool, request):
        return None
    slot = grounded.missing[0]
    return Speak(slot_question(slot), f"{tool.name}.{slot.name}")


def _plain_tool(
    tools: Sequence[Signature], instead_of: Signature | None, request: str
) -> Signature | None:
    """Return a tool without arguments that a question fits better than the one chosen.

    "Which films run today?" makes a small model ask for the title of the film.
    """
    least = relevance(instead_of, request) if instead_of else 0
    if "?" not in request:
        return None
    plain = [tool for tool in tools if not tool.slots and not tool.ends_call]
    best = max(plain, key=lambda tool: relevance(tool, request), default=None)
    return best if best is not None and relevance(best, request) > least else None


def _is_repeated(
    tool: Signature, arguments: Mapping[str, Any], history: Sequence[Turn]
) -> bool:
    """Whether this very call was just made and the caller did not ask for it again.

    A small model likes to do once more what it sees itself doing.
    """
    before = next((t for t in reversed(history) if isinstance(t, ToolUsed)), None)
    return (
        before is not None
        and not before.is_error
        and (before.name, dict(before.arguments)) == (tool.name, dict(arguments))
        and not relevance(tool, last_request(history))
    )
