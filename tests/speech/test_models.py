from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from runner.errors import SpeechError, UsageError
from runner.speech.downloads import (
    DiskFull,
    NullProgress,
    Progress,
    SourceFailed,
    length,
)
from runner.speech.manifest import Manifest, Model, ModelFile
from runner.speech.models import ModelStore, default_folder

GOOD = {"config.json": b"{}", "model.bin": b"weights" * 1000}


def manifest_of(files: dict[str, bytes], opens: str | None = "model.bin") -> Manifest:
    described = tuple(
        ModelFile(name, len(content), hashlib.sha256(content).hexdigest(), None, ())
        for name, content in files.items()
    )
    model = Model("tiny", "tts", "to test", "MIT", "nobody", opens, described)
    return Manifest({"tiny": model})


class Stock:
    """A source with fixed contents, which continues a partial file."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.began_at: list[tuple[str, int]] = []
        self.closed = False

    def origin(self, file: ModelFile) -> str:
        return f"source of {file.name}"

    def offers(self, file: ModelFile) -> bool:
        return file.name in self.files

    def complete(self, file: ModelFile, part: Path, progress: Progress) -> None:
        self.began_at.append((file.name, length(part)))
        with part.open("ab") as out:
            out.write(self.files[file.name][length(part) :])

    def close(self) -> None:
        self.closed = True


class Failing(Stock):
    """Writes a few bytes and fails."""

    def __init__(self, error: BaseException, written: bytes = b"") -> None:
        super().__init__(GOOD)
        self.error, self.written = error, written

    def complete(self, file: ModelFile, part: Path, progress: Progress) -> None:
        part.write_bytes(self.written)
        raise self.error


class Listening(NullProgress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def weights(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models", manifest_of(GOOD))


def left_in(weights: ModelStore) -> Sequence[str]:
    found = (weights.folder / "tiny").iterdir()
    return sorted(path.name for path in found if not path.name.startswith("."))


def test_a_fetched_model_is_found(weights: ModelStore) -> None:
    assert weights.find("tiny") is None

    weights.fetch("tiny", sources=[Stock(GOOD)])

    assert weights.find("tiny") == weights.folder / "tiny" / "model.bin"
    assert left_in(weights) == sorted(GOOD)


def test_an_engine_that_opens_a_folder_gets_the_folder(tmp_path: Path) -> None:
    weights = ModelStore(tmp_path, manifest_of(GOOD, opens=None))

    weights.fetch("tiny", sources=[Stock(GOOD)])

    assert weights.find("tiny") == tmp_path / "tiny"


def test_a_present_model_is_not_fetched_again(weights: ModelStore) -> None:
    weights.fetch("tiny", sources=[Stock(GOOD)])
    second = Stock(GOOD)

    weights.fetch("tiny", sources=[second])

    assert second.began_at == []
    assert second.closed


def test_only_the_file_that_is_missing_is_fetched(weights: ModelStore) -> None:
    weights.fetch("tiny", sources=[Stock(GOOD)])
    (weights.folder / "tiny" / "config.json").unlink()
    assert weights.status("tiny").problem == "'config.json' is missing"
    second = Stock(GOOD)

    weights.fetch("tiny", sources=[second])

    assert second.began_at == [("config.json", 0)]


def test_files_put_there_by_hand_are_found_and_a_swap_is_noticed(
    weights: ModelStore,
) -> None:
    home = weights.folder / "tiny"
    home.mkdir(parents=True)
    for name, content in GOOD.items():
        (home / name).write_bytes(content)

    assert weights.find("tiny") == home / "model.bin"

    assert (home / ".verified.json").is_file()

    # Same length and time, other bytes.
    spoil_keeping_time(home / "model.bin")
    assert weights.find("tiny") is None


@pytest.mark.skipif(os.name != "posix", reason="needs modes of POSIX")
def test_a_stamp_that_others_can_write_proves_nothing(weights: ModelStore) -> None:
    weights.fetch("tiny", sources=[Stock(GOOD)])
    home = weights.folder / "tiny"
    stamp = home / ".verified.json"
    # A forged stamp: it has the marks of other bytes of the same length.
    spoil_keeping_time(home / "model.bin")
    status = (home / "model.bin").stat()
    marks = json.loads(stamp.read_text("utf-8"))
    marks["model.bin"][1:] = [
        *(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    ]
    stamp.write_text(json.dumps(marks), "utf-8")
    assert weights.find("tiny") == home / "model.bin"
    stamp.chmod(0o666)
    assert weights.find("tiny") is None


def test_a_file_of_another_length_is_damaged_whatever_the_stamp_says(
    weights: ModelStore,
) -> None:
    weights.fetch("tiny", sources=[Stock(GOOD)])
    home = weights.folder / "tiny"
    (home / "model.bin").write_bytes(b"short")
    status = (home / "model.bin").stat()
    stamp = home / ".verified.json"
    marks = json.loads(stamp.read_text("utf-8"))
    marks["model.bin"][1:] = [
        *(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    ]
    stamp.write_text(json.dumps(marks), "utf-8")
    assert weights.find("tiny") is None


def test_a_file_that_changed_since_is_hashed_again(weights: ModelStore) -> None:
    weights.fetch("tiny", sources=[Stock(GOOD)])
    path = weights.folder / "tiny" / "model.bin"
    spoil_keeping_time(path)
    os.utime(path)

    standing = weights.status("tiny")

    assert not standing.present
    assert standing.problem == "'model.bin' is damaged"


def spoil_keeping_time(path: Path) -> None:
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_damaged_file_is_fetched_again(weights: ModelStore) -> None:
    weights.fetch("tiny", sources=[Stock(GOOD)])
    (weights.folder / "tiny" / "model.bin").write_bytes(b"short")

    weights.fetch("tiny", sources=[Stock(GOOD)])

    assert weights.find("tiny")


def test_a_stamp_that_is_not_json_is_rewritten(weights: ModelStore) -> None:
    weights.fetch("tiny", sources=[Stock(GOOD)])
    (weights.folder / "tiny" / ".verified.json").write_bytes(b"\xff{")

    assert weights.find("tiny")


def test_a_wrong_hash_is_an_error_and_nothing_is_kept(weights: ModelStore) -> None:
    forged = {**GOOD, "model.bin": b"WEIGHTS" * 1000}

    with pytest.raises(SpeechError, match=r"'model\.bin' of tiny: .*wrong sha256"):
        weights.fetch("tiny", sources=[Stock(forged)])

    assert left_in(weights) == ["config.json"]
    assert weights.find("tiny") is None


def test_after_a_wrong_hash_the_next_source_is_used(weights: ModelStore) -> None:
    forged, listening = {**GOOD, "model.bin": b"WEIGHTS" * 1000}, Listening()

    weights.fetch("tiny", sources=[Stock(forged), Stock(GOOD)], progress=listening)

    assert weights.find("tiny")
    assert any("wrong sha256" in said for said in listening.said)


def test_a_failing_source_is_skipped_with_a_message(weights: ModelStore) -> None:
    listening, dead = Listening(), Failing(SourceFailed("hub.example does not answer"))

    weights.fetch("tiny", sources=[dead, Stock(GOOD)], progress=listening)

    assert weights.find("tiny")
    assert listening.said[:3] == [
        "tiny/config.json: hub.example does not answer",
        "tiny/config.json: trying source of config.json instead",
        "tiny/config.json: downloaded from source of config.json",
    ]


def test_the_next_source_continues_where_the_first_stopped(
    weights: ModelStore,
) -> None:
    first = Failing(SourceFailed("it broke off"), GOOD["model.bin"][:100])
    first.files = {"model.bin": b""}
    second = Stock(GOOD)

    weights.fetch("tiny", sources=[first, second])

    assert second.began_at == [("config.json", 0), ("model.bin", 100)]


def test_when_every_source_fails_all_reasons_are_given(weights: ModelStore) -> None:
    sources = [Failing(SourceFailed("one is down")), Failing(SourceFailed("so is two"))]

    with pytest.raises(SpeechError, match="one is down; so is two"):
        weights.fetch("tiny", sources=sources)


def test_an_interrupted_fetch_continues_where_it_was(weights: ModelStore) -> None:
    interrupted = Failing(KeyboardInterrupt(), GOOD["model.bin"][:300])
    interrupted.files = {"model.bin": b""}
    with pytest.raises(KeyboardInterrupt):
        weights.fetch("tiny", sources=[interrupted, Stock(GOOD)])
    (weights.folder / "tiny" / "config.json").unlink(missing_ok=True)
    second = Stock(GOOD)

    weights.fetch("tiny", sources=[second])

    assert ("model.bin", 300) in second.began_at
    assert weights.find("tiny")


def test_a_damaged_part_is_discarded_and_downloaded_again(weights: ModelStore) -> None:
    home = weights.folder / "tiny"
    home.mkdir(parents=True)
    (home / "model.bin.part").write_bytes(b"damaged")

    weights.fetch("tiny", sources=[Stock(GOOD)])

    assert weights.find("tiny")


def test_a_full_disk_leaves_nothing_half_written(weights: ModelStore) -> None:
    full = Failing(DiskFull("the disk is full"), b"half")

    with pytest.raises(DiskFull):
        weights.fetch("tiny", sources=[full])

    assert left_in(weights) == []


def test_missing_disk_space_is_reported_before_any_request(tmp_path: Path) -> None:
    huge = ModelFile("huge.bin", 10**18, "0" * 64, None, ())
    model = Model("huge", "llm", "to test", "MIT", "nobody", None, (huge,))
    weights, stock = ModelStore(tmp_path, Manifest({"huge": model})), Stock({})

    with pytest.raises(DiskFull, match="huge needs 1,000,000,000,000 MB"):
        weights.fetch("huge", sources=[stock])

    assert stock.began_at == []


def test_a_cache_that_is_not_a_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    weights = ModelStore(tmp_path / "models", manifest_of(GOOD))

    with pytest.raises(SpeechError, match="cannot write"):
        weights.fetch("tiny", sources=[Stock(GOOD)])


def test_two_concurrent_fetches_download_once(weights: ModelStore) -> None:
    second_waits = threading.Event()

    class Slow(Stock):
        def complete(self, file: ModelFile, part: Path, progress: Progress) -> None:
            assert second_waits.wait(30)
            super().complete(file, part, progress)

    class Told(NullProgress):
        def say(self, text: str) -> None:
            assert "waiting for another process that uses tiny" in text
            second_waits.set()

    first_began = threading.Event()

    class Announced(NullProgress):
        def begin(self, label: str, size: int, done: int) -> None:
            first_began.set()

    slow, idle = Slow(GOOD), Stock(GOOD)
    thread = threading.Thread(
        target=weights.fetch,
        args=("tiny",),
        kwargs={"sources": [slow], "progress": Announced()},
    )
    thread.start()
    assert first_began.wait(30)

    other = ModelStore(weights.folder, weights.manifest)
    other.fetch("tiny", sources=[idle], progress=Told())
    thread.join()

    assert len(slow.began_at) == 2
    assert idle.began_at == []
    assert weights.find("tiny")


def test_removing_frees_the_space_once(weights: ModelStore) -> None:
    weights.fetch("tiny", sources=[Stock(GOOD)])

    assert weights.remove("tiny") >= sum(map(len, GOOD.values()))

    assert weights.find("tiny") is None
    assert weights.remove("tiny") == 0


def test_an_unknown_model_is_a_usage_error(weights: ModelStore) -> None:
    with pytest.raises(UsageError):
        weights.find("tony")
    with pytest.raises(UsageError):
        weights.fetch("tony", sources=[])
    with pytest.raises(UsageError):
        weights.remove("../tiny")


def test_the_folder_can_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAGENT_MODELS", str(tmp_path))

    assert default_folder() == tmp_path


def test_the_folder_is_the_platforms_cache_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("VAGENT_MODELS", raising=False)

    assert default_folder().parts[-2:] == ("vagent", "models")
