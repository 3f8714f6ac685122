"""Checks the actions of a server session against the rules of the protocol.

It uses only the events, the actions, and the public phase and turn of the session.
"""

from __future__ import annotations

from collections.abc import Sequence

from runner.protocol.messages import (
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyDone,
    ReplyError,
    ReplyStarted,
    ServerMessage,
    SessionEnded,
    SessionError,
    SessionReady,
    SessionUpdated,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    TranscriptUserDelta,
)
from runner.protocol.server.events import (
    AppendHistory,
    Close,
    FeedAudio,
    RemoveFromHistory,
    Send,
    ServerAction,
    StartReply,
    StopReply,
)
from runner.protocol.server.session import Phase


class Witness:
    """The state of one session, as a driver and a reader of the wire see it."""

    def __init__(self) -> None:
        self.thinking: str | None = None  # the reply that the driver generates
        self.open_reply: str | None = None  # on the wire: started and not done
        self.is_ready = False  # on the line there is now
        self.is_over = False
        self.speech: str | None = None  # item of the caller's turn; "" while unnamed
        self.calls: dict[str, str] = {}  # open ones, and the reply that asked
        self.settled: set[str] = set()  # answered or forgotten calls
        self.replies: list[str] = []
        self.begun: set[str] = set()  # greetings, and replies with audio or words
        self.tokens: set[str] = set()
        self.greetings = 0
        self._done: set[str] = set()
        self._asked: dict[str, bool] = {}  # sent calls; True if on this connection
        self._transcribed: set[str] = set()

    def connection_lost(self) -> None:
        """The connection is lost: the reader of the wire sees no more ends."""
        self.open_reply = self.speech = None
        self.is_ready = False
        self._asked = dict.fromkeys(self._asked, False)

    def watch(
        self, before: Phase, actions: Sequence[ServerAction], timestamp: float
    ) -> None:
        """Checks and records the actions of one event."""
        if before is Phase.CLOSED:
            assert list(actions) == [], "nothing happens after CLOSED"
        for action in actions:
            assert not self.is_over, "closing is the last thing, and happens once"
            match action:
                case Send(message):
                    assert getattr(message, "timestamp", None) == timestamp
                    self._read(message)
                case FeedAudio():
                    assert before is Phase.LIVE, "ears hear a live session only"
                case Close():
                    self.is_over = True
                case _:
                    self._note(action)

    def _note(self, action: ServerAction) -> None:
        match action:
            case StartReply():
                self._start(action)
            case StopReply(reply_id):
                assert self.thinking == reply_id, "stopped what was not made"
                self.thinking = None
            case AppendHistory(ToolResult(call_id=call_id)) | RemoveFromHistory(
                call_id
            ):
                self._settle(call_id)
            case AppendHistory(ToolCall(call_id=call_id)):
                assert self.thinking is not None, "a dead reply asks for nothing"
                assert call_id not in self.calls
                assert call_id not in self.settled
                self.calls[call_id] = self.thinking

    def _start(self, action: StartReply) -> None:
        assert self.thinking is None, "two replies at once"
        assert self.open_reply == action.reply_id, "a reply begins by telling so"
        assert self.speech is None, "nobody is answered while they speak"
        assert action.reply_id not in self.replies, "a dead reply comes back"
        self.thinking = action.reply_id
        self.replies.append(action.reply_id)
        if action.say is not None:
            self.greetings += 1
            self.begun.add(action.reply_id)

    def _settle(self, call_id: str) -> None:
        assert call_id in self.calls, "answered or forgotten twice, or never asked"
        del self.calls[call_id]
        self.settled.add(call_id)

    def _read(self, message: ServerMessage) -> None:
        match message:
            case SessionReady():
                assert not self.is_ready, "one ready a line"
                assert message.resume_token not in self.tokens, "tokens are fresh"
                self.tokens.add(message.resume_token)
                self.is_ready = True
            case SessionError() | SessionUpdated() | SessionEnded():
                if isinstance(message, SessionEnded):
                    assert self.open_reply is None, "a reply is done before the end"
            case _:
                assert self.is_ready, f"{message.TYPE} before session.ready"
                self._read_caller(message)
                self._read_agent(message)

    def _read_caller(self, message: ServerMessage) -> None:
        match message:
            case InputSpeechStarted():
                assert self.speech is None, "speech starts once"
                assert self.thinking is None, "it is stopped before it is said"
                self.speech = ""
            case InputSpeechStopped():
                assert self.speech is not None, "speech stops after it started"
                self.speech = None
            case TranscriptUserDelta(item_id=item_id):
                assert self.speech in ("", item_id), "words are of the turn"
                self.speech = item_id
            case TranscriptUser():
                assert self.speech is None, "the final words follow the stop"

    def _read_agent(self, message: ServerMessage) -> None:
        match message:
            case ReplyStarted(reply_id=reply_id):
                assert self.open_reply is None, "a reply is done before the next begins"
                self.open_reply = reply_id
            case ReplyAudio(reply_id=r) | TranscriptAgentDelta(reply_id=r):
                assert r == self.open_reply == self.thinking, "no sound of a dead reply"
                assert r not in self._transcribed, "no sound after the last words"
                self.begun.add(r)
            case ReplyError(reply_id=r):
                assert r == self.open_reply, "only what is told of can fail"
            case ToolCall():
                self._ask(message.call_id)
            case TranscriptAgent(reply_id=r):
                assert r == self.open_reply, (
                    "the last words precede the end of their reply"
                )
                assert r not in self._transcribed, "the last words are said once"
                self._transcribed.add(r)
            case ReplyDone():
                self._end(message)

    def _ask(self, call_id: str) -> None:
        assert call_id in self.calls, "remembered before it is asked, and still open"
        assert not self._asked.get(call_id), "asked once a line"
        if call_id not in self._asked:
            assert self.calls[call_id] == self.open_reply, "asked within its reply"
        # Otherwise it is sent again: the lost connection may not have delivered it.
        self._asked[call_id] = True

    def _end(self, done: ReplyDone) -> None:
        assert done.reply_id == self.open_reply, "only what was told of is done"
        assert done.reply_id not in self._done, "no reply is done twice"
        self._done.add(done.reply_id)
        self.open_reply = None
        if done.status == "completed":
            assert self.thinking == done.reply_id, "a stopped reply is not completed"
            self.thinking = None
        else:
            assert self.thinking is None, "an interrupted reply is stopped"
