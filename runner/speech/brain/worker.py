"""The language model in a process of its own: `python -m runner.speech.brain.worker`.

Loading a model holds the interpreter for seconds, in which a server in the same process
could neither speak nor answer; and what the engine does at its end is nobody else's
trouble here. Lines of JSON go in and out:

    in    {"id": 1, "request": {...}}     {"cancel": 1}
    out   {"ready": true} or {"failed": "why"}, once
          {"id": 1, "piece": "..."}       {"id": 1, "problem": "..."}     {"id": 1}

The last one says that the request is over. The end of the input ends the process.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import threading
from typing import Any, TextIO

_SLOTS = 2  # one generates while another reads ahead or is being cancelled
_CACHE_MIB = 256  # for conversations that lost their slot; the engine's own is 8 GB
_MOST_THREADS = 8  # beyond the physical cores of a laptop it only gets slower


class Worker:
    """Serves the requests of one process, a thread each."""

    def __init__(self, server: Any, out: TextIO) -> None:
        self._server = server  # the engine's own class, which has no types
        self._out = out
        self._writing = threading.Lock()
        self._cancelled: set[int] = set()

    def say(self, **line: Any) -> None:
        """Write a line; what the reader no longer wants is dropped."""
        try:
            with self._writing:
                self._out.write(json.dumps(line) + "\n")
                self._out.flush()
        except OSError:
            os._exit(0)

    def listen(self, lines: TextIO) -> None:
        """Serve what is asked for until the input ends."""
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
        # The engine stops when this returns True. It must not raise: the engine would
        # swallow that and go on.
        def take(answer: object) -> bool:
            if number in self._cancelled:
                return True
            for chunk in answer if isinstance(answer, list) else [answer]:
                problem = _problem(chunk)
                if problem is not None:
                    self.say(id=number, problem=problem)
                    return True
                if piece := _content(chunk):
                    self.say(id=number, piece=piece)
            return False

        try:
            self._server.handle_chat_completions(request, take)
        except Exception as error:  # a foreign engine: told to whoever asked
            self.say(id=number, problem=f"{type(error).__name__}: {error}")
        self.say(id=number)
        self._cancelled.discard(number)


def load(path: str, context: int) -> Any:  # the engine's own class, without types
    """Load a model; raises ImportError without the engine, RuntimeError for a bad file.

    `context` is the number of tokens of one conversation.
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
    # The engine opens a port on loopback whether one wants it or not; a key that
    # nobody knows keeps everybody else out.
    parameters.api_keys = [secrets.token_urlsafe(24)]
    # The threads of one step wait for each other, turning in circles: one core beyond
    # two is left to ears and voice. Of two cores it takes both: a turn is decided when
    # nobody speaks, and two write 32 tokens a second where one writes 18 (but only 1
    # to 6 while something else keeps a core busy).
    cores = os.cpu_count() or 1
    threads = cores if cores <= 2 else min(_MOST_THREADS, cores - 1)
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    return xllamacpp.Server(parameters)


def main(path: str, context: int) -> None:
    """Load the model, say so, and serve."""
    # Ctrl-C in the terminal is for the process that owns this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What the engine prints must not get between the lines.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(None, out)
    try:
        worker = Worker(load(path, context), out)
    except (ImportError, RuntimeError) as error:
        worker.say(failed=type(error).__name__)
        return
    worker.say(ready=True)
    worker.listen(sys.stdin)
    os._exit(0)  # not through the engine's own end, which may abort or hang


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
