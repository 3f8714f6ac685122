"""llama.cpp through the `xllamacpp` package, in a process of its own (`worker`)."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from runner.errors import SpeechError, os_error_text
from runner.speech.brain.prompt import ChatMessage
from runner.speech.parts import Cancelled

CONTEXT = 4096  # tokens of one conversation; a phone call's prompt and turns fit
# A file below this holds less than a billion parameters at four bits.
_SMALL = 700_000_000  # bytes
_TOO_LONG = "shorten the agent's prompt or the descriptions of its tools"
_GGUF_MAGIC = b"GGUF"
# How long a cancelled reader may still be held; an interruption has 100 ms in all.
_POLL = 0.02  # seconds
_CLOSE_SECONDS = 2.0

_Line = Mapping[str, Any]


class LlamaModel:
    """One GGUF file, loaded; serves several threads, each in a slot of its own.

    Raises `SpeechError` when the engine is not installed or the file cannot be loaded.
    """

    context = CONTEXT

    def __init__(self, path: Path, *, name: str | None = None) -> None:
        self.name = name or path.stem
        self.is_small = _check_file(path) < _SMALL
        self._numbers = itertools.count(1)
        self._answers: dict[int, queue.SimpleQueue[_Line]] = {}
        self._writing = threading.Lock()
        self._process = _start(path)
        threading.Thread(target=self._read, name="brain", daemon=True).start()

    def write(
        self,
        messages: Sequence[ChatMessage],
        *,
        grammar: str,
        most_tokens: int,
        cancelled: Cancelled,
    ) -> Iterator[str]:
        """Yield the answer piece by piece, greedily; stop soon after `cancelled`."""
        request = {
            "messages": list(messages),
            "max_tokens": most_tokens,
            "temperature": 0.0,
            "cache_prompt": True,
            "stream": True,
            "grammar": grammar,
        }
        number = next(self._numbers)
        answer = self._answers[number] = queue.SimpleQueue()
        is_over = False
        try:
            self._send({"id": number, "request": request})
            while not cancelled():
                try:
                    line = answer.get(timeout=_POLL)
                except queue.Empty:
                    continue
                if "problem" in line:
                    is_over = True
                    problem = line["problem"]
                    raise SpeechError(
                        f"the model {self.name!r} failed: {problem}",
                        hint=_TOO_LONG if "context size" in problem else None,
                    )
                if "piece" not in line:
                    is_over = True
                    return
                yield line["piece"]
        finally:
            del self._answers[number]
            if not is_over:
                with suppress(SpeechError):  # the process may be gone: all the better
                    self._send({"cancel": number})

    def close(self) -> None:
        """Give the memory back; what is being generated is cut off."""
        stdin = self._process.stdin
        with suppress(OSError):
            if stdin is not None:
                stdin.close()
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, line: _Line) -> None:
        try:
            with self._writing:
                _pipe(self._process.stdin).write(json.dumps(line).encode() + b"\n")
                _pipe(self._process.stdin).flush()
        except (OSError, ValueError) as error:
            raise SpeechError(f"the model {self.name!r} is already closed") from error

    def _read(self) -> None:
        with _pipe(self._process.stdout) as lines:
            for text in lines:
                line = json.loads(text)
                answer = self._answers.get(line["id"])
                if answer is not None:
                    answer.put(line)
        for answer in list(self._answers.values()):
            answer.put({"problem": "its process has ended"})


def _start(path: Path) -> subprocess.Popen[bytes]:
    """Start the worker and wait until it has loaded the file."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise SpeechError(
            "the language model's engine (xllamacpp) is not installed",
            hint="pip install 'vagent[local]'",
        )
    module = "runner.speech.brain.worker"
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(path), str(CONTEXT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # The engine's own words, which nobody can act on.
        stderr=None if os.environ.get("VAGENT_DEBUG") else subprocess.DEVNULL,
    )
    first = _pipe(process.stdout).readline()
    if first and json.loads(first).get("ready"):
        return process
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        _pipe(pipe).close()
    raise _unloadable(path)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None, "both ends are pipes"
    return stream


def _check_file(path: Path) -> int:
    """Return the size of a GGUF file in bytes."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(_GGUF_MAGIC))
    except OSError as error:
        raise SpeechError(
            f"cannot read the model {str(path)!r}: {os_error_text(error)}"
        ) from error
    if magic != _GGUF_MAGIC:
        raise _unloadable(path)
    return path.stat().st_size


def _unloadable(path: Path) -> SpeechError:
    return SpeechError(
        f"{str(path)!r} is not a language model that can be loaded",
        hint="give a complete .gguf file, or: vagent models fetch qwen-0.5b",
    )
