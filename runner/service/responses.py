"""The agent's side of a session: what it remembers, thinks ahead and says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.protocol.dictation import parse_verbatim
from runner.protocol.messages import TranscriptAgent
from runner.protocol.server.events import AppendHistory, RemoveFromHistory, StartReply
from runner.protocol.server.settings import Settings, default_settings
from runner.server.larynx import SpeechSynthesizer
from runner.server.memory import ChatHistory
from runner.server.reply import Post, Reply
from runner.service.workers import Workers
from runner.speech.interfaces import (
    AgentContext,
    AssistantMessage,
    HistoryMessage,
    SpeechStack,
    SystemMessage,
    UserMessage,
)


@dataclass(frozen=True, slots=True)
class _Premise:
    """All that a reply follows from: equal premises, equal replies."""

    settings: Settings
    turns: tuple[HistoryMessage, ...] = ()
    say: str | None = None
    may_fill: bool = True

    @property
    def brief(self) -> AgentContext:
        tools: tuple[Mapping[str, Any], ...] = self.settings.tools
        return AgentContext(self.settings.system_prompt, tools)


class Responder:
    """Mind and voice of one session; performs what its `ServerSession` wants said."""

    def __init__(
        self,
        speech: SpeechStack,
        workers: Workers,
        larynx: SpeechSynthesizer,
        chunk_ms: float | None = None,
    ) -> None:
        self._speech = speech
        self._chunk_ms = chunk_ms
        self._workers = workers
        self._larynx = larynx
        self._settings = default_settings()
        self._memory = ChatHistory()
        self._reply: Reply | None = None
        # A reply to what the caller perhaps has finished saying.
        self._guess: tuple[_Premise, Reply] | None = None

    @property
    def is_sounding(self) -> bool:
        """Whether the caller hears the agent now."""
        return self._reply is not None and self._reply.is_sounding

    def configure(self, settings: Settings) -> AgentContext | None:
        """Use these settings; return the brief if the mind should read it ahead."""
        before = _Premise(self._settings).brief
        self._settings = settings
        after = _Premise(settings).brief
        return None if after == before else after

    def note(self, action: AppendHistory | RemoveFromHistory) -> None:
        """Let the mind know what was said, asked or answered, or will never be."""
        if isinstance(action, RemoveFromHistory):
            self._memory.forget(action.call_id)
            return
        asked_for = None
        if isinstance(action.message, TranscriptAgent) and self._reply is not None:
            asked_for = self._reply.asked_for
        self._memory.note(action.message, asked_for=asked_for)

    def suppose(self, text: str) -> None:
        """Begin a reply to words that may be the caller's last of this turn."""
        turns = (*self._memory.turns, UserMessage(text))
        premise = _Premise(self._settings, turns)
        if self._guess is None or self._guess[0] != premise:
            self.doubt()
            self._guess = (premise, self._begin(premise))

    def doubt(self) -> None:
        """Throw the supposed reply away."""
        if self._guess is not None:
            self._guess[1].cancel()
            self._guess = None

    def start(self, wanted: StartReply, post: Post) -> bool:
        """Make the reply that is wanted; return whether it had been begun before."""
        premise = self._premise(wanted)
        was_guessed = self._guess is not None and self._guess[0] == premise
        if was_guessed and self._guess is not None:
            self._reply, self._guess = self._guess[1], None
        else:
            self.doubt()
            self._reply = self._begin(premise)
        self._reply.release(wanted.reply_id, post)
        return was_guessed

    def stop(self) -> None:
        """Fall silent now."""
        if self._reply is not None:
            self._reply.cancel()

    def close(self) -> None:
        """Stop everything."""
        self.stop()
        self.doubt()

    def _premise(self, wanted: StartReply) -> _Premise:
        if wanted.say is not None:
            return _Premise(self._settings, say=wanted.say)
        turns = self._memory.turns
        line = parse_verbatim(wanted.instructions)
        if line is not None:  # it needs no mind, and a small one would garble it
            return _Premise(self._settings, say=line)
        if wanted.instructions:
            turns = (*turns, SystemMessage(wanted.instructions))
        elif wanted.unasked and (not turns or isinstance(turns[-1], AssistantMessage)):
            turns = (*turns, SystemMessage("Say what comes next in this conversation."))
        return _Premise(self._settings, turns, may_fill=not wanted.after_tools)

    def _begin(self, premise: _Premise) -> Reply:
        thoughts = None
        if premise.say is None:
            thoughts = self._workers.stream(
                "the language model",
                lambda cancelled: self._speech.brain().think(
                    premise.brief, premise.turns, cancelled
                ),
            )
        return Reply(
            thoughts,
            self._larynx,
            premise.settings,
            say=premise.say,
            may_fill=premise.may_fill,
            chunk_ms=self._chunk_ms,
        )
