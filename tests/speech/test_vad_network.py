from __future__ import annotations

from pathlib import Path

import pytest

from runner.errors import SpeechError
from runner.speech.vad import open_network


@pytest.mark.parametrize("content", [b"", b"no network at all" * 20, None])
def test_a_file_that_is_not_a_network_is_reported(
    tmp_path: Path, content: bytes | None
) -> None:
    pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SpeechError, match=r"cannot load the ONNX file .*model\.onnx"):
        open_network(path)
