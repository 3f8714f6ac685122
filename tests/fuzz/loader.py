"""Mutated agent files for the config loader."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from runner.config.diagnostics import render
from runner.config.files import read_agent_file
from runner.config.loader import check_file, load_agent
from runner.errors import ConfigError, FileUnreadable
from tests.fuzz.mutilation import TOKENS, Mutilator
from tests.shipped import AGENT_FILES

ROOT = Path(__file__).parents[2]
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
YAML_TOKENS = [
    *TOKENS,
    *("&a ", "*a", "<<: *a", "<<: [*a, *a]", "!!float ", "!!python/object:x ", "! "),
    *("\t", "  ", "\n", "\n\n", "- ", ": ", "? ", "| ", ">-\n", "---\n", "...\n", "# "),
    *("${", "${x}", "${env:", "${env:HOME}", "$${", "%YAML 1.1\n", "[", "{", "'", '"'),
    *('"\\0"', '"\\uD800"', "\x85", "\0", "0x", "0o9", "1_000", ".inf", "-9" * 300),
    *("tools:\n", "prompt_file: ", "../", "/etc/passwd", "a.py:b", "pattern: '(a+)+$'"),
    *("10s", "-1ms", "1e9h", "{" * 40, "[" * 40, "- " * 40, "a: " * 40, "&a [*a]"),
]


def seeds() -> list[str]:
    """Returns real agent files, invalid ones, and alias bombs."""
    files = [*AGENT_FILES]
    files += sorted((ROOT / "tests" / "config" / "bad").glob("*.yaml"))
    texts = [path.read_bytes().decode("utf-8", "replace") for path in files]
    return [*texts, BOMB, "&a [*a]\n", "a: &a {<<: *a}\n", "- " * 40 + "x\n"]


def inputs(mutilator: Mutilator) -> Iterator[bytes]:
    """Yields mutated files without end."""
    rand = mutilator.random
    texts = seeds()
    while True:
        text = rand.choice(texts)
        kind = rand.random()
        if kind < 0.02:
            yield mutilator.bytes(400)
        elif kind < 0.4:
            yield _shuffle(mutilator, text, rand.choice(texts)).encode(
                "utf-8", "surrogatepass"
            )
        else:
            yield mutilator.text(text, texts).encode("utf-8", "surrogatepass")


def _shuffle(mutilator: Mutilator, text: str, other: str) -> str:
    """Mutates lines: drop, repeat, indent, dedent, or insert one of another file."""
    rand = mutilator.random
    lines, others = text.split("\n"), other.split("\n")
    for _ in range(rand.randint(1, 4)):
        at = rand.randrange(len(lines))
        match rand.randrange(5):
            case 0:
                lines[at : at + 1] = []
            case 1:
                lines.insert(rand.randint(0, len(lines)), lines[at])
            case 2:
                lines[at] = rand.choice(("  ", " ", "\t", "    ")) + lines[at]
            case 3:
                lines[at] = lines[at].lstrip()
            case _:
                lines.insert(at, rand.choice(others))
        lines = lines or [""]
    return "\n".join(lines)


class LoaderCheck:
    """Writes each input next to the tools of the real agents, checks and loads it."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(ROOT / "agents", folder, dirs_exist_ok=True)
        self._path = folder / "fuzzed.yaml"

    def __call__(self, data: bytes) -> None:
        self._path.write_bytes(data)
        try:
            found = check_file(self._path, environment={})
            _ = read_agent_file(self._path).is_agent
        except FileUnreadable as error:
            raise AssertionError("a file that is there can be read") from error
        text = render(found)
        text.encode("utf-8")  # what is shown can be printed
        has_errors = any(each.is_error for each in found)
        try:
            load_agent(self._path, environment={})
        except ConfigError as error:
            error.message.encode("utf-8")
        else:
            assert not has_errors, "what is wrong in the check cannot be run"
