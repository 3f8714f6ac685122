"""Runs neural networks from ONNX files; the one place that knows onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from numpy.typing import NDArray

from runner.errors import SpeechError


class Network:
    """A loaded network. Safe to run from several threads at once."""

    def __init__(self, session: Any) -> None:
        self.session = session  # onnxruntime.InferenceSession, for engines that want it

    def run(self, **inputs: Any) -> list[NDArray[Any]]:
        """Return the outputs, in the order in which the file declares them."""
        return cast("list[NDArray[Any]]", self.session.run(None, inputs))


def open_network(path: Path, *, threads: int = 1) -> Network:
    """Load a network for the CPU; raises SpeechError when that cannot be done.

    Waiting threads sleep instead of spinning: a small machine has other work (the
    language model) for the cores.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: its warnings are for model authors
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its errors have no parent of their own
        raise SpeechError(
            f"'{path}' is not a network that can be run: {error}",
            hint="`vagent models list` shows whether the weights are sound",
        ) from error
    return Network(session)
