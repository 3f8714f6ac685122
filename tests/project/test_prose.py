"""The prose rules: words that plain technical English does without.

Docstrings and comments of the package, its messages, the documentation, and the
docstrings, comments and names of tests are checked. CONTRIBUTING.md has the rules.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN = Path(__file__).relative_to(ROOT).as_posix()

# A pattern and what to write instead.
WORDS = {
    r"mend(s|ed|ing)?": "fix, repair",
    r"wish(es|ed)?": "option, setting, request",
    r"anew": "again",
    r"beside": "next to, with",
    r"tells?|told": "reports, shows",
    r"surely": "",
    r"whoever|nobody|somebody": "name the role, or use the passive",
    r"thrown away": "discarded",
    r"(taken|takes?) up": "reopened, resumed",
    r"on purpose": "injected, intentionally",
    r"in vain": "unused, without effect",
    r"perhaps": "",
    r"bears?|hush|dwells?": "",
    r"stands(?! for\b)": "is",
    r"(?<!that )lies": "is",
    r"(?<!there )is no (?!longer|more|less|doubt)[a-z]+": "is not a",
    r"sounds?(?! ?(card|server|file|check|driver|device|system))": "audio (data)",
}
# Uses that are right where they are: a file, and the text around the word.
ALLOWED: dict[str, tuple[str, ...]] = {
    "runner/audio/files.py": ("tell",),  # a method of file objects
    # A field that recordings contain.
    "runner/protocol/client/config.py": ("`sound` for the next audio",),
    # A key of the recording format.
    "runner/recording/format.py": ('"sound": {"mic"',),
    # A notice that recordings contain and replays compare.
    "runner/protocol/client/session.py": (", told of the conversation so far",),
    # A prompt: another wording would invalidate stored verdicts.
    "runner/testing/judge.py": ("whatever somebody in it says",),
    "runner/tools/builtin.py": ("Tell the current date",),  # read by the model
    "runner/tools/http_client.py": ("an encoding nobody asked for",),  # by the model
    # Prompts: the decisions of the small models were measured with these texts.
    "runner/speech/llm/prompt.py": ("Tell me the answer", "Say sorry and tell me"),
    "runner/config/lint/spoken_text.py": ("tells?) (?:you|for|to)",),
}

PATTERN = re.compile(r"\b(" + "|".join(WORDS) + r")\b", re.IGNORECASE)


def python_texts(path: Path, *, messages: bool) -> Iterator[tuple[int, str]]:
    """Yields the line and the text of comments, docstrings and, with it, messages."""
    source = path.read_text("utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            is_message = messages and " " in node.value.strip()
            if id(node) in docstrings or is_message:
                for offset, line in enumerate(node.value.splitlines()):
                    yield node.lineno + offset, line
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name.replace("_", " ")


def page_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines of a page outside its blocks of code."""
    is_code = False
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield number, re.sub(r"`[^`]*`", "", line)


def tracked() -> list[str]:
    """Returns the files that are checked."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    data = re.compile(r"/(bad|beside|cases|corpus|templates)/")
    return [
        name
        for name in listed.stdout.splitlines()
        if name != OWN
        and not data.search(name)
        and (ROOT / name).is_file()
        and (
            re.match(r"(runner|vagent|tests|benchmarks|docs)/.*\.py$", name)
            or (name.endswith(".md") and name != "CHANGELOG.md")
        )
    ]


def findings(name: str) -> Iterator[str]:
    """Yields what a file says in other words than the rules allow."""
    path = ROOT / name
    if name.endswith(".py"):
        texts = python_texts(path, messages=name.startswith(("runner/", "vagent/")))
    else:
        texts = page_texts(path)
    for line, text in texts:
        for found in PATTERN.finditer(text):
            if not any(each in text for each in ALLOWED.get(name, ())):
                yield f"{name}:{line}: {found[0]!r} in {text.strip()!r}"


@pytest.mark.parametrize("name", tracked())
def test_a_file_is_written_in_plain_english(name: str) -> None:
    assert list(findings(name)) == []


if __name__ == "__main__":
    import sys

    for each in tracked():
        if each.startswith(tuple(sys.argv[1:] or [""])):
            print(*findings(each), sep="\n", end="\n" if list(findings(each)) else "")
