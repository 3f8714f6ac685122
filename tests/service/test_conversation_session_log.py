"""Log events of a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.service.conversation import SessionLog


class Told(list[tuple[str, Mapping[str, Any]]]):
    def __call__(self, kind: str, facts: Mapping[str, Any]) -> None:
        self.append((kind, facts))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self]


def test_a_session_is_opened_once_and_closed() -> None:
    told = Told()
    journal = SessionLog(told, "sess_1")
    journal.open()
    journal.open()
    journal.close()

    assert told.kinds == ["vagent.session.opened", "vagent.session.closed"]
    assert {facts["session_id"] for _, facts in told} == {"sess_1"}


def test_a_connection_without_a_session_is_not_reported() -> None:
    told = Told()
    SessionLog(told, "sess_1").close()

    assert told == []


def test_only_the_first_audio_after_a_turn_is_reported() -> None:
    told = Told()
    journal = SessionLog(told, "sess_1")
    journal.send_audio()
    journal.end_turn(0.3)
    journal.start_reply(was_speculative=True)
    journal.send_audio()
    journal.send_audio()

    [(kind, facts)] = told
    assert kind == "vagent.turn"
    assert facts["endpointing_ms"] == 300
    assert facts["first_audio_ms"] >= 300
    assert facts["speculative"] is True
