"""The pages of the rules, from the documentation of each rule."""

from __future__ import annotations

from docs.generate.markdown import fenced, page, table
from runner.cli.reports.common import all_rules
from runner.config.lint.context import Rule

INDEX = "README.md"  # GitHub shows this name below the folder; MkDocs takes it as index

_FAMILIES = {
    "VA1": "YAML",
    "VA2": "Schema",
    "VA3": "References, variables and session",
    "VA4": "Tools",
    "VA5": "Voice craft",
    "VA6": "Security",
    "VA7": "Scenarios",
}

_INTRODUCTION = """The findings of `vagent validate`. An **error** stops `vagent run`
and fails the check; a **warning** fails it with `--strict`. In the terminal,
`vagent validate --explain VA203` shows a rule. `--select` and `--ignore` choose rules
by id, by the start of an id (`VA5`) or by name. A comment silences one warning in one
line:

```yaml
voice: ivy  # vagent: ignore[VA521] our account still has it
```"""


def make_pages() -> dict[str, str]:
    """Returns the pages by file name."""
    rules = sorted(all_rules().values(), key=lambda each: each.id)
    pages = {f"{rule.id}.md": _page(rule) for rule in rules}
    return {INDEX: _index(rules), **pages}


def _index(rules: list[Rule]) -> str:
    blocks = []
    for head in sorted({rule.id[:3] for rule in rules}):
        rows = [_row(rule) for rule in rules if rule.id.startswith(head)]
        title = _FAMILIES.get(head, "Others")
        blocks += [
            f"## {head}: {title}",
            table(("rule", "name", "severity", "finding"), rows),
        ]
    return page("# Rules", _INTRODUCTION, *blocks)


def _row(rule: Rule) -> tuple[str, ...]:
    link = f"[{rule.id}]({rule.id}.md)"
    return link, f"`{rule.name}`", rule.severity, rule.documentation.summary


def _page(rule: Rule) -> str:
    about = rule.documentation
    return page(
        f"# {rule.id}: {rule.name}",
        f"**{rule.severity}**: {about.summary}",
        about.why,
        "## Bad",
        fenced("yaml", about.bad),
        "## Good",
        fenced("yaml", about.good),
        f"[All rules]({INDEX})",
    )
