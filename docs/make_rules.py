"""Writes `rules/` from the documentation of the rules; `make docs` runs it."""

from __future__ import annotations

from pathlib import Path

from runner.checking.catalogue import all_rules
from runner.config.rules.rule import Rule

FOLDER = Path(__file__).with_name("rules")
INDEX = "README.md"  # which GitHub shows under the folder

_MADE = "<!-- made by docs/make_rules.py: change the rule's text, then `make docs` -->"

_FAMILIES = {
    "VA1": "YAML",
    "VA2": "Schema",
    "VA3": "References, variables and session",
    "VA4": "Tools",
    "VA5": "Voice craft",
    "VA6": "Security",
    "VA7": "Scenarios",
}

_INTRODUCTION = """What `vagent validate` finds. An **error** stops `vagent run` and
fails the check; a **warning** fails it with `--strict`. In the terminal,
`vagent validate --explain VA203` shows a rule. `--select` and `--ignore` choose rules
by id, by the head of ids (`VA5`) or by name; a comment silences one warning in one
line:

```yaml
voice: alba  # vagent: ignore[VA501] our own voice, the service knows it
```"""


def make_pages() -> dict[str, str]:
    """Return the pages by the names of their files."""
    rules = sorted(all_rules().values(), key=lambda each: each.id)
    pages = {f"{rule.id}.md": _page(rule) for rule in rules}
    return {INDEX: _index(rules), **pages}


def write_pages() -> None:
    """Write the pages, and take away those of rules that are no more."""
    FOLDER.mkdir(exist_ok=True)
    pages = make_pages()
    for name, text in pages.items():
        (FOLDER / name).write_text(text, "utf-8", newline="\n")
    for path in FOLDER.glob("*.md"):
        if path.name not in pages:
            path.unlink()


def _index(rules: list[Rule]) -> str:
    blocks = [_MADE, "# Rules", _INTRODUCTION]
    heads = sorted({rule.id[:3] for rule in rules})
    for head in heads:
        lines = ["| rule | name | | what it finds |", "|---|---|---|---|"]
        lines += [_row(rule) for rule in rules if rule.id.startswith(head)]
        title = _FAMILIES.get(head, "Others")
        blocks += [f"## {head}: {title}", "\n".join(lines)]
    return "\n\n".join(blocks) + "\n"


def _row(rule: Rule) -> str:
    link = f"[{rule.id}]({rule.id}.md)"
    summary = rule.documentation.summary.replace("|", "\\|")
    return f"| {link} | `{rule.name}` | {rule.severity} | {summary} |"


def _page(rule: Rule) -> str:
    about = rule.documentation
    blocks = [
        _MADE,
        f"# {rule.id}: {rule.name}",
        f"**{rule.severity}**: {about.summary}",
        about.why,
        "## Bad",
        _fenced(about.bad),
        "## Good",
        _fenced(about.good),
        f"[All rules]({INDEX})",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _fenced(example: str) -> str:
    fence = "```"
    while fence in example:  # of a prompt that speaks of code, say
        fence += "`"
    return f"{fence}yaml\n{example}{fence}"


if __name__ == "__main__":
    write_pages()
