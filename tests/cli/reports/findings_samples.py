"""One set of findings that every format is written for."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from runner.config.diagnostics import Edit, Fix, Related, diagnose
from runner.config.lint.results import CheckedFile, Results, UnreadableFile, gather
from runner.config.source import Source, Span

ROOT = PurePosixPath("/srv/shop")
SHOP = Source(
    "agents/shop 1.yaml",
    'version: 1\nname: "你好 😀"  # voise\nvoise: alba\ntools: []\nname: b\n',
)
PROMPT = Source("agents/prompts/shop.md", "Say *hello*,\nand ${nobody}\u0085 100%.\n")


def span(source: Source, text: str, *, last: bool = False) -> Span:
    start = source.text.rindex(text) if last else source.text.index(text)
    return Span(start, start + len(text))


def samples() -> Results:
    """A wide character, a fix, a related place, a prompt file, one clean, one gone."""
    wide = diagnose(
        SHOP, span(SHOP, "😀"), "VA302", "do not say `😀`", severity="warning"
    )
    key = span(SHOP, "voise", last=True)
    fix = Fix("replace `voise` by `voice`", (Edit(*key, "voice"),))
    unknown = diagnose(
        SHOP, key, "VA203", "unknown key `voise`", "did you mean `voice`?", fix=fix
    )
    twice = diagnose(
        SHOP,
        span(SHOP, "name", last=True),
        "VA102",
        "the key `name` is there twice",
        related=(Related(2, 1, "the first one: 100%, here"),),
    )
    prompt = diagnose(PROMPT, Span(4, 27), "VA301", "two lines, not `one`: <&>")
    return gather(
        ROOT,
        [
            CheckedFile(Path(SHOP.path), SHOP, (wide, unknown, twice, prompt)),
            CheckedFile(Path("agents/clean.yaml"), Source("agents/clean.yaml", ""), ()),
        ],
        [UnreadableFile(Path("agents/gone.yaml"), "agents/gone.yaml does not exist")],
    )
