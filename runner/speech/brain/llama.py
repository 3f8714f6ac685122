"""llama.cpp inside this process, through the `xllamacpp` package."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from runner.errors import SpeechError
from runner.speech.brain.prompt import ChatMessage
from runner.speech.brain.relay import relay
from runner.speech.parts import Cancelled

CONTEXT = 4096  # tokens of one slot; a phone call's prompt and turns fit
_SLOTS = 2  # one generates while another reads ahead or is being cancelled
_CACHE_MIB = 256  # for conversations that lost their slot; the engine's own is 8 GB
_MOST_THREADS = 8  # beyond the physical cores of a laptop it only gets slower
# A file below this holds less than a billion parameters at four bits. Such a model
# retold 8 of 12 results rightly, one of 1.5 billion (1.1 GB) 11 of 12.
_RETELLS_FROM = 700_000_000  # bytes
_TOO_LONG = "shorten the agent's prompt or the descriptions of its tools"
_GGUF_MAGIC = b"GGUF"


class LlamaModel:
    """One GGUF file, loaded; serves several threads, each in a slot of its own.

    Raises `SpeechError` when the engine is not installed or the file cannot be loaded.
    """

    context = CONTEXT

    def __init__(self, path: Path, *, name: str | None = None) -> None:
        self.name = name or path.stem
        self._server: Any | None = _load(path)
        self.retells = path.stat().st_size >= _RETELLS_FROM

    def write(
        self,
        messages: Sequence[ChatMessage],
        *,
        grammar: str,
        most_tokens: int,
        cancelled: Cancelled,
    ) -> Iterator[str]:
        """Yield the answer piece by piece, greedily; stop soon after `cancelled`."""
        server = self._server
        if server is None:
            raise SpeechError(f"the model {self.name!r} is already closed")
        request = {
            "messages": list(messages),
            "max_tokens": most_tokens,
            "temperature": 0.0,
            "cache_prompt": True,
            "stream": True,
            "grammar": grammar,
        }

        def produce(emit: Callable[[str], bool]) -> None:
            problems: list[str] = []

            # The engine stops when this returns True. It must not raise: the engine
            # would swallow that and go on.
            def take(answer: object) -> bool:
                for chunk in answer if isinstance(answer, list) else [answer]:
                    problem = _problem(chunk)
                    if problem is not None:
                        problems.append(problem)
                        return True
                    if not emit(_content(chunk)):
                        return True
                return False

            server.handle_chat_completions(request, take)
            if problems:
                raise SpeechError(
                    f"the model {self.name!r} failed: {problems[0]}",
                    hint=_TOO_LONG if "context size" in problems[0] else None,
                )

        yield from relay(produce, cancelled)

    def close(self) -> None:
        """Give the memory back; a generation that still runs keeps it until it ends."""
        self._server = None


def _load(path: Path) -> Any:  # the engine's own class, which has no types
    try:
        import xllamacpp
    except ImportError as error:
        raise SpeechError(
            "the language model's engine (xllamacpp) is not installed",
            hint="pip install 'vagent[local]'",
        ) from error
    _check_file(path)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = CONTEXT * _SLOTS
    parameters.n_parallel = _SLOTS
    parameters.cache_ram_mib = _CACHE_MIB
    parameters.use_jinja = True
    parameters.verbosity = 0
    parameters.ui = False
    parameters.endpoint_slots = False
    # The engine opens a port on loopback whether one wants it or not; a key that
    # nobody knows keeps everybody else out.
    parameters.api_keys = [secrets.token_urlsafe(24)]
    cores = min(_MOST_THREADS, os.cpu_count() or 1)
    # The threads of one token wait for each other: when a core is also wanted by the
    # voice that speaks the clause before, two threads on two cores write 1 to 6 tokens
    # a second where one thread writes 18. Reading ahead has long steps, so it may have
    # all cores.
    parameters.cpuparams.n_threads = max(1, cores - 1)
    parameters.cpuparams_batch.n_threads = cores
    try:
        return xllamacpp.Server(parameters)
    except RuntimeError as error:
        raise _unloadable(path) from error


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_GGUF_MAGIC))
    except OSError as error:
        raise SpeechError(
            f"cannot read the model {str(path)!r}: {error.strerror or error}"
        ) from error
    if magic != _GGUF_MAGIC:
        raise _unloadable(path)


def _unloadable(path: Path) -> SpeechError:
    return SpeechError(
        f"{str(path)!r} is not a language model that can be loaded",
        hint="give a complete .gguf file, or: vagent models fetch qwen-0.5b",
    )


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
