"""Reads texts of tests as scenario files in the folder of the test agents."""

from __future__ import annotations

from pathlib import Path

from runner.config.files import ParsedFile, read_agent_text

BESIDE = Path(__file__).parent / "beside"


def read(folder: Path, text: str) -> ParsedFile:
    """Read a text as the scenario file of a folder."""
    return read_agent_text(text.encode(), folder / "shop.test.yaml")
