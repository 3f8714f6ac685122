from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from runner.audio.files import wav_header
from runner.audio.virtual import ClockedSpeaker
from runner.errors import FileUnreadable
from runner.protocol.client.actions import (
    CancelTool,
    Close,
    Connect,
    Notify,
    Outcome,
    RunTool,
    StopPlayback,
)
from runner.protocol.client.events import (
    Connected,
    Received,
    Tick,
    ToolFinished,
)
from runner.protocol.messages import ReplyDone, ReplyStarted, ToolCall
from runner.recording.format import AudioSummary
from runner.recording.reader import read_recording
from runner.recording.recorder import Limits, Recorder, new_folder
from runner.redaction import Redactor
from tests.recording.calls import (
    FRAME,
    RATE,
    Happening,
    header,
    heard,
    lines,
    noise,
    read_wav,
    record,
    spoken,
)

BEGAN = 1000.0  # the engine's clock is any steady one
DONE = Close(Outcome.CLEAN, "the agent hung up", drain=True)


def shifted(happenings: list[Happening]) -> list[Happening]:
    return [(BEGAN + at, what) for at, what in happenings]


def test_entries_are_read_again_in_order(tmp_path: Path) -> None:
    happenings: list[Happening] = [
        (0.0, Connect()),
        (0.1, Connected()),
        *heard(0.2, noise(FRAME)),
        *heard(0.25, noise(FRAME)),
        (0.26, Received(ReplyStarted("reply_1"))),
        *spoken(0.27, noise(480)),
        (0.5, DONE),
    ]

    recording = read_recording(record(tmp_path, shifted(happenings)))

    assert recording.header == header()
    assert recording.entries == [
        (0.0, Connect()),
        (0.1, Connected()),
        (0.2, AudioSummary(0.25, mic=4800, sent=4800)),
        (0.26, Received(ReplyStarted("reply_1"))),
        (0.27, AudioSummary(0.27, 0, 0, 480, 480, 480, "reply_1")),
        (0.5, DONE),
    ]
    assert recording.is_complete


def test_audio_is_summed_up_by_the_tenth_of_a_second_and_the_reply(
    tmp_path: Path,
) -> None:
    happenings = [each for n in range(8) for each in heard(n * 0.05, noise(FRAME))]
    happenings += spoken(0.4, noise(480), "reply_1") + spoken(0.41, noise(960), "b")

    entries = read_recording(record(tmp_path, happenings)).entries

    assert entries == [
        (0.0, AudioSummary(0.1, mic=7200, sent=7200)),
        (0.15, AudioSummary(0.25, mic=7200, sent=7200)),
        (0.3, AudioSummary(0.4, mic=4800, sent=4800, received=480, audible=480,
                           played=480, reply_id="reply_1")),
        (0.41, AudioSummary(0.41, received=960, audible=960, played=960, reply_id="b")),
    ]  # fmt: skip


class _Clock:
    """A clock of a speaker that the test sets."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    async def wait_until(self, due: float) -> None:
        self.time = due


class _Memory:
    def __init__(self) -> None:
        self.pcm = b""

    def open(self) -> None:
        pass

    def write(self, pcm: bytes) -> None:
        self.pcm += pcm

    def close(self) -> None:
        pass


async def test_the_agents_file_is_what_the_speaker_played_sample_by_sample(
    tmp_path: Path,
) -> None:
    """A reply in chunks that is cut off, and a second one whose buffer underruns."""
    pieces = [(1.0 + n * 0.003, noise(4800, n)) for n in range(30)]  # 3 s of audio
    late = [(4.0, noise(2400, 50)), (4.2, noise(2400, 51)), (5.0, noise(48_000, 52))]
    happenings: list[Happening] = [(0.0, Connect())]
    happenings += [each for at, pcm in pieces for each in spoken(at, pcm)]
    happenings += [(2.34567, StopPlayback())]
    happenings += [each for at, pcm in late for each in spoken(at, pcm, "reply_2")]
    happenings += [(5.1, DONE)]

    record(tmp_path, shifted(happenings))

    clock, memory = _Clock(), _Memory()
    speaker = ClockedSpeaker(memory, begins_at=lambda: 0.0, clock=clock)
    for at, what in happenings:
        clock.time = at
        match what:
            case StopPlayback():
                speaker.stop()
            case _ if hasattr(what, "pcm"):
                speaker.play(what.pcm)
    clock.time = 6.06  # the last second after its cushion
    assert speaker.pending_ms == 0
    agent = read_wav(tmp_path / "agent.wav")
    assert agent == memory.pcm[: len(agent)]
    assert len(agent) == 2 * round(6.06 * RATE)
    assert any(agent[2 * RATE :])


def test_the_callers_file_has_each_frame_at_its_time(tmp_path: Path) -> None:
    early, later = noise(FRAME, 1), noise(FRAME, 2)
    happenings: list[Happening] = [
        (0.0, Connect()),
        *heard(0.55, early),
        *heard(0.62, early),  # 20 ms late: audio has no gap
        *heard(2.0, later),  # the microphone gave nothing for long
        (3.0, DONE),
    ]

    record(tmp_path, happenings)

    assert read_wav(tmp_path / "caller.wav") == b"".join(
        (
            bytes(2 * RATE // 2),
            early * 2,
            bytes(2 * round(1.95 * RATE) - RATE - 2 * FRAME),
            later,
            bytes(2 * RATE),
        )
    )


def test_both_sides_are_interleaved_and_all_files_have_the_same_length(
    tmp_path: Path,
) -> None:
    happenings: list[Happening] = [(0.0, Connect())]
    for n in range(1, 60):
        happenings += heard(n * 0.05, noise(FRAME, n))
        happenings += spoken(n * 0.05, noise(FRAME, 100 + n))
    happenings.append((3.0, Close(Outcome.CLEAN, "done")))

    record(tmp_path, happenings)

    caller, agent, both = (
        read_wav(tmp_path / f"{name}.wav") for name in ("caller", "agent", "both")
    )
    assert len(caller) == len(agent) == len(both) // 2 == 2 * 3 * RATE
    left = b"".join(both[at : at + 2] for at in range(0, len(both), 4))
    right = b"".join(both[at + 2 : at + 4] for at in range(0, len(both), 4))
    assert (left, right) == (caller, agent)


def test_a_jump_in_time_is_silence_in_the_files(tmp_path: Path) -> None:
    record(tmp_path, [(0.0, Connect()), (100.0, Tick())])

    assert read_wav(tmp_path / "agent.wav") == bytes(2 * 100 * RATE)
    assert read_wav(tmp_path / "caller.wav") == bytes(2 * 100 * RATE)


def test_calls_have_a_line_each_with_arguments_results_and_times(
    tmp_path: Path,
) -> None:
    happenings: list[Happening] = [
        (0.0, Connect()),
        (1.0, RunTool(ToolCall("call_1", "look", {"id": 5}))),
        (1.5, RunTool(ToolCall("call_2", "wait"))),
        (2.0, RunTool(ToolCall("call_3", "fail"))),
        (2.25, ToolFinished("call_1", '{"found": [1]}')),
        (2.5, CancelTool("call_2")),
        (2.5, CancelTool("call_9")),  # one that never ran
        (3.0, ToolFinished("call_3", "no JSON", is_error=True)),
    ]

    record(tmp_path, shifted(happenings))

    def call(at: float, number: int, name: str, **more: object) -> dict[str, object]:
        basis = {"at": at, "call_id": f"call_{number}", "name": name, "arguments": {}}
        ends = {"result": None, "is_error": False, "cancelled": False}
        return {**basis, **ends, **more}

    assert lines(tmp_path, "calls.jsonl") == [
        call(1.0, 1, "look", arguments={"id": 5}, result={"found": [1]}, seconds=1.25),
        call(1.5, 2, "wait", cancelled=True, seconds=1.0),
        call(2.0, 3, "fail", result="no JSON", is_error=True, seconds=1.0),
    ]


def test_without_audio_it_is_counted_and_no_files_are_written(tmp_path: Path) -> None:
    happenings = [*heard(0.0, noise(FRAME)), *spoken(0.0, noise(FRAME))]
    record(tmp_path, happenings, header=header(has_sound=False))

    assert {each.name for each in tmp_path.iterdir()} == {
        *("session.jsonl", "calls.jsonl", "agent.yaml")
    }
    assert read_recording(tmp_path).entries == [
        (0.0, AudioSummary(0.0, FRAME, FRAME, FRAME, FRAME, FRAME, "reply_1"))
    ]


def test_a_redacted_recording_contains_no_digits_of_the_conversation(
    tmp_path: Path,
) -> None:
    happenings: list[Happening] = [
        (0.0, Connect()),
        (1.0, RunTool(ToolCall("call_1", "look", {"id": 4711, "to": "a@b.org"}))),
        (2.0, ToolFinished("call_1", '{"found": 4711, "by": "a@b.org"}')),
        (3.0, Notify("4711 for a@b.org")),
        (4.0, Received(ReplyDone("reply_4711"))),
    ]
    record(tmp_path, happenings, header=header(is_redacted=True, has_sound=False))

    texts = (tmp_path / "session.jsonl").read_text("utf-8")
    assert "a@b" not in texts
    assert texts.count("4711") == 1  # the id of a reply is not personal data
    (call,) = lines(tmp_path, "calls.jsonl")
    assert call["arguments"] == {"id": "####", "to": "[e-mail]"}
    assert call["result"] == '{"found": ####, "by": "[e-mail]"}'


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(seconds=1.0), "a recording holds 0.000277778 hours of a call"),
        (Limits(text_bytes=2048), "a recording holds 0.00195312 MB of lines"),
    ],
)
def test_it_stops_at_a_limit_and_reports_it(
    tmp_path: Path, limits: Limits, reason: str
) -> None:
    notices: list[str] = []
    happenings: list[Happening] = [(n / 16, Tick()) for n in range(200)]
    record(tmp_path, happenings, limits=limits, notice=notices.append)

    recording = read_recording(tmp_path)
    assert recording.stopped == reason
    assert not recording.is_complete
    assert 10 < len(recording.entries) < 100
    assert recording.entries == happenings[: len(recording.entries)]
    assert notices == [f"recording stopped: {reason}; the call continues"]
    size = sum((tmp_path / f"{each}.jsonl").stat().st_size for each in ("session",))
    assert size < limits.text_bytes + 200
    assert len(read_wav(tmp_path / "agent.wav")) <= 2 * RATE * 10


@contextmanager
def _small_disk(size: int) -> Iterator[None]:
    """Limits the size of files of this process, to simulate a full disk."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
@pytest.mark.parametrize("has_sound", [True, False])
def test_a_full_disk_is_reported_once_and_the_written_part_is_valid(
    tmp_path: Path, has_sound: bool
) -> None:
    notices: list[str] = []
    first = header(has_sound=has_sound)
    with Recorder(
        tmp_path, first, "", notice=notices.append, threaded=False
    ) as recorder:
        with _small_disk(20_000):
            for n in range(1000):
                for at, what in [*heard(n * 0.05, noise(FRAME)), (n * 0.05, Tick())]:
                    recorder.observe(at, what)
                recorder.flush()
        recorder.observe(100.0, Tick())

    recording = read_recording(tmp_path)
    (notice,) = notices
    assert "file too large" in notice
    assert notice.endswith("; the call continues")
    assert not recording.is_complete
    assert recording.skipped == 0
    assert recording.entries
    if has_sound:
        assert recording.stopped
        assert read_wav(tmp_path / "caller.wav")[: 2 * FRAME] == noise(FRAME) * 2


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be removed")
def test_a_removed_folder_is_reported_once(tmp_path: Path) -> None:
    notices: list[str] = []
    folder = tmp_path / "there"
    with Recorder(
        folder, header(), "", notice=notices.append, threaded=False
    ) as recorder:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        for n in range(50):
            recorder.observe(n * 0.05, Tick())
            recorder.flush()

    assert notices == ["recording stopped: the folder was removed; the call continues"]


def test_it_does_not_start_if_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(FileUnreadable, match="cannot be recorded in") as caught:
        record(tmp_path / "taken", [])

    assert caught.value.hint


def test_it_does_not_start_if_its_audio_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "both.wav").mkdir()

    with pytest.raises(FileUnreadable, match="it is a folder"):
        record(tmp_path, [])


def test_an_earlier_recording_is_never_written_over(tmp_path: Path) -> None:
    record(tmp_path, [(0.0, Tick())])
    before = (tmp_path / "session.jsonl").read_bytes()

    with pytest.raises(FileUnreadable, match="file exists"):
        record(tmp_path, [])

    assert (tmp_path / "session.jsonl").read_bytes() == before


def test_a_thread_writes_during_the_call(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    with Recorder(tmp_path, header(), "") as recorder:
        recorder.observe(0.0, Connect())
        deadline = threading.Event()
        for _ in range(400):
            if b"connect" in path.read_bytes():
                break
            deadline.wait(0.01)
        assert b"connect" in path.read_bytes()
    assert "recorder" not in {thread.name for thread in threading.enumerate()}
    assert read_recording(tmp_path).is_complete


def test_a_disk_that_does_not_keep_up_ends_the_recording(tmp_path: Path) -> None:
    """The recorder's thread is blocked in the redactor."""
    held, notices = threading.Event(), list[str]()
    begun = threading.Event()

    class Held(Redactor):
        def text(self, text: str) -> str:
            if threading.current_thread().name == "recorder":
                begun.set()
                held.wait(30)
            return text

    with Recorder(
        *(tmp_path, header(has_sound=False), ""),
        redactor=Held(),
        notice=notices.append,
        limits=Limits(backlog=20),
    ) as recorder:
        recorder.observe(0.0, Connect())
        assert begun.wait(30)
        for n in range(100):
            recorder.observe(n * 0.05, Tick())
        held.set()

    assert notices == [
        "recording stopped: the disk does not keep up; the call continues"
    ]
    assert read_recording(tmp_path).stopped == "the disk does not keep up"


def test_the_wav_files_are_valid_after_every_flush(tmp_path: Path) -> None:
    with Recorder(tmp_path, header(), "", threaded=False) as recorder:
        for n in range(1, 40):
            for at, what in heard(n * 0.05, noise(FRAME, n)):
                recorder.observe(at, what)
            recorder.flush()
            for name, channels in (("caller", 1), ("agent", 1), ("both", 2)):
                data = (tmp_path / f"{name}.wav").read_bytes()
                assert data[:44] == wav_header(len(data) - 44, channels)
            assert len(read_wav(tmp_path / "caller.wav")) == n * FRAME


def test_memory_does_not_grow_where_no_thread_writes(tmp_path: Path) -> None:
    with Recorder(tmp_path, header(), "", threaded=False) as recorder:
        for n in range(2500):
            recorder.observe(n * 0.05, Tick())
        written = len((tmp_path / "session.jsonl").read_bytes().splitlines()) - 1

    assert written == 2000


def test_half_a_surrogate_pair_is_recorded(tmp_path: Path) -> None:
    record(tmp_path, [(0.0, Notify("half: \ud83d"))], agent_text="half: \ud83d")

    assert read_recording(tmp_path).entries == [(0.0, Notify("half: \ud83d"))]


def test_the_recording_contains_a_copy_of_the_agent_file(tmp_path: Path) -> None:
    record(tmp_path, [], agent_text="version: 1\r\nname: tést\n")

    assert (
        tmp_path / "agent.yaml"
    ).read_bytes() == "version: 1\r\nname: tést\n".encode()
    assert os.listdir(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_only_its_owner_can_read_a_recording(tmp_path: Path) -> None:
    heard_and_done = [*heard(0.1, noise(FRAME)), (0.5, DONE)]
    folder = record(tmp_path / "calls" / "one", heard_and_done)

    modes = {
        each.name: stat.S_IMODE(each.stat().st_mode)
        for each in (folder.parent, *folder.parent.rglob("*"))
    }
    assert modes == {
        "calls": 0o700,
        "one": 0o700,
        "session.jsonl": 0o600,
        "calls.jsonl": 0o600,
        "agent.yaml": 0o600,
        "caller.wav": 0o600,
        "agent.wav": 0o600,
        "both.wav": 0o600,
    }


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_recording_is_not_written_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    Path("calls").symlink_to(tmp_path / "home")

    with pytest.raises(FileUnreadable, match="'calls' is a symbolic link"):
        record(Path("calls/one"), [(0.0, DONE)])

    assert not list((tmp_path / "home").iterdir())


def test_a_new_folder_of_recordings_is_ignored_by_git(tmp_path: Path) -> None:
    into = tmp_path / "calls"
    new_folder(into, "vet", datetime(2026, 1, 31))
    assert "*" in (into / ".gitignore").read_text("utf-8").splitlines()
    other = tmp_path / "mine"
    other.mkdir()
    new_folder(other, "vet", datetime(2026, 1, 31))
    assert not (other / ".gitignore").exists()
