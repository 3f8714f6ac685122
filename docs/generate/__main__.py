"""Writes the generated pages of the reference: `python -m docs.generate`.

The texts come from the program itself: its tables, JSON Schemas, rules and `--help`.
`make docs` runs this; a test compares the pages with what it would write.
"""

from __future__ import annotations

from pathlib import Path

from docs.generate import (
    agent_file_page,
    cli_page,
    errors_page,
    metrics_page,
    rules_pages,
    scenario_file_page,
)

DOCS = Path(__file__).resolve().parents[1]
RULES = "reference/rules"


def make_pages() -> dict[str, str]:
    """Returns the generated pages by their path below `docs/`."""
    return {
        "reference/agent-file.md": agent_file_page.make_page(),
        "reference/scenario-file.md": scenario_file_page.make_page(),
        "reference/cli.md": cli_page.make_page(),
        "reference/errors.md": errors_page.make_page(),
        "reference/metrics.md": metrics_page.make_page(),
        **{f"{RULES}/{k}": v for k, v in rules_pages.make_pages().items()},
    }


def write_pages() -> None:
    """Writes the pages and deletes the pages of rules that no longer exist."""
    pages = make_pages()
    for name, text in pages.items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", newline="\n")
    for path in (DOCS / RULES).glob("*.md"):
        if path.relative_to(DOCS).as_posix() not in pages:
            path.unlink()


if __name__ == "__main__":
    write_pages()
