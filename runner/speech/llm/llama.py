"""llama.cpp, through the `xllamacpp` package, in a child process.

The child process is this module: `python -m runner.speech.llm.llama MODEL CONTEXT`. It
reads and writes lines of JSON:

    in    {"id": 1, "request": {...}}     {"cancel": 1}
    out   {"ready": true} or {"failed": "why"}, once
          {"id": 1, "piece": "..."}       {"id": 1, "problem": "..."}     {"id": 1}

The line with only an ID ends a request. The end of the input ends the process.
"""

# A child process, because loading a model holds the interpreter lock for seconds, in
# which a server in the same process could not answer, and because the engine may abort
# or hang when it ends.

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TextIO

from runner.errors import SpeechError, os_error_text
from runner.isolation import python_command
from runner.speech.interfaces import Cancelled
from runner.speech.llm.prompt import ChatMessage
from runner.speech.threads import count_threads

CONTEXT = 4096  # tokens of one conversation; the prompt and turns of a phone call fit
# At four bits a smaller file has less than a billion parameters.
_SMALL = 700_000_000  # bytes
_TOO_LONG = "shorten the agent's prompt or the descriptions of its tools"
_GGUF_MAGIC = b"GGUF"
# Seconds until a cancellation is noticed; an interruption has 100 ms in total.
_POLL = 0.02
_CLOSE_SECONDS = 2.0

_Line = Mapping[str, Any]


class LlamaModel:
    """A loaded GGUF file. Thread-safe.

    Raises SpeechError if the engine is not installed or the file cannot be loaded.
    """

    context = CONTEXT

    def __init__(self, path: Path, *, name: str | None = None) -> None:
        self.name = name or path.stem
        self.is_small = _check_file(path) < _SMALL
        self._numbers = itertools.count(1)
        self._answers: dict[int, queue.SimpleQueue[_Line]] = {}
        self._lock = threading.Lock()
        self._process = _start(path)
        threading.Thread(target=self._read, name="llm", daemon=True).start()

    def write(
        self,
        messages: Sequence[ChatMessage],
        *,
        grammar: str,
        max_tokens: int,
        cancelled: Cancelled,
    ) -> Iterator[str]:
        """Yields the answer in pieces, decoded greedily."""
        request = {
            "messages": list(messages),
            "max_tokens": max_tokens,
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
                with suppress(SpeechError):  # the process may have ended
                    self._send({"cancel": number})

    def close(self) -> None:
        """Ends the child process; running requests are cut off."""
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
            with self._lock:
                _pipe(self._process.stdin).write(json.dumps(line).encode() + b"\n")
                _pipe(self._process.stdin).flush()
        except (OSError, ValueError) as error:
            raise SpeechError(f"the model {self.name!r} is closed") from error

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
    """Starts the child process and waits until it has loaded the file."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise SpeechError(
            "the language model's engine (xllamacpp) is not installed",
            hint="pip install 'vagent[local]'",
        )
    module = "runner.speech.llm.llama"
    process = subprocess.Popen(
        python_command(module, str(path), str(CONTEXT)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # The engine's log is of no use to the user.
        stderr=None if os.environ.get("VAGENT_DEBUG") else subprocess.DEVNULL,
    )
    first = _pipe(process.stdout).readline()
    if first and json.loads(first).get("ready"):
        return process
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        _pipe(pipe).close()
    raise _load_error(path)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None, "both ends are pipes"
    return stream


def _check_file(path: Path) -> int:
    """Returns the size of a GGUF file in bytes."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(_GGUF_MAGIC))
    except OSError as error:
        raise SpeechError(
            f"cannot read the model {str(path)!r}: {os_error_text(error)}"
        ) from error
    if magic != _GGUF_MAGIC:
        raise _load_error(path)
    return path.stat().st_size


def _load_error(path: Path) -> SpeechError:
    return SpeechError(
        f"cannot load the language model {str(path)!r}",
        hint="give a complete .gguf file, or run: vagent models fetch qwen-0.5b",
    )


_SLOTS = 2  # one generates while the other caches a prompt or is being cancelled
_CACHE_MIB = 256  # for conversations that lost their slot; the default is 8 GB


class Worker:
    """Serves the requests in the child process, one thread per request."""

    def __init__(self, server: Any, out: TextIO) -> None:
        self._server = server  # the engine's own class, which has no types
        self._out = out
        self._lock = threading.Lock()
        self._cancelled: set[int] = set()

    def send(self, **line: Any) -> None:
        """Writes a line; ends the process if the parent is gone."""
        try:
            with self._lock:
                self._out.write(json.dumps(line) + "\n")
                self._out.flush()
        except OSError:
            os._exit(0)

    def listen(self, lines: TextIO) -> None:
        """Serves requests until the input ends."""
        for line in lines:
            message = json.loads(line)
            if "cancel" in message:
                self._cancelled.add(message["cancel"])
                continue
            threading.Thread(
                target=self._answer,
                args=(message["id"], message["request"]),
                daemon=True,
            ).start()

    def _answer(self, number: int, request: dict[str, Any]) -> None:
        # The engine stops if this returns True. It ignores exceptions.
        def take(answer: object) -> bool:
            if number in self._cancelled:
                return True
            for chunk in answer if isinstance(answer, list) else [answer]:
                problem = _problem(chunk)
                if problem is not None:
                    self.send(id=number, problem=problem)
                    return True
                if piece := _content(chunk):
                    self.send(id=number, piece=piece)
            return False

        try:
            self._server.handle_chat_completions(request, take)
        except Exception as error:  # of any kind: reported to the parent
            self.send(id=number, problem=f"{type(error).__name__}: {error}")
        self.send(id=number)
        self._cancelled.discard(number)


def load(path: str, context: int) -> Any:  # the engine's own class, without types
    """Loads a model; `context` is the number of tokens of one conversation.

    Raises ImportError without the engine, RuntimeError for a bad file.
    """
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx = context * _SLOTS
    parameters.n_parallel = _SLOTS
    parameters.cache_ram_mib = _CACHE_MIB
    parameters.use_jinja = True
    parameters.verbosity = 0
    parameters.ui = False
    parameters.endpoint_slots = False
    # The engine always opens a port on loopback; an unknown key keeps others out.
    parameters.api_keys = [secrets.token_urlsafe(24)]
    threads = count_threads()
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    return xllamacpp.Server(parameters)


def main(path: str, context: int) -> None:
    """Entry point of the child process: loads the model, reports it, and serves."""
    # Ctrl-C in the terminal is for the parent process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Output of the engine must not mix with the lines.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(None, out)
    try:
        worker = Worker(load(path, context), out)
    except (ImportError, RuntimeError) as error:
        worker.send(failed=type(error).__name__)
        return
    worker.send(ready=True)
    worker.listen(sys.stdin)
    os._exit(0)  # without the engine's shutdown, which may abort or hang


def _problem(chunk: object) -> str | None:
    if not isinstance(chunk, dict):
        return f"unexpected answer {str(chunk)[:80]!r}"
    error = chunk.get("error")
    if error is None:
        return None
    return str(error.get("message", error) if isinstance(error, dict) else error)


def _content(chunk: Any) -> str:
    choices = chunk.get("choices") or [{}]
    return (choices[0].get("delta") or {}).get("content") or ""


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
