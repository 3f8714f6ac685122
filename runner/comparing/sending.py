"""What two agents send, and what they are at this end: every value that differs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from runner.comparing.words import DiffSegment, compare_words

Kind = Literal["added", "removed", "changed", "renamed"]
# Texts that are compared word by word.
_TEXTS = {"prompt", "greeting", "description", "say", "announce", "one_minute_left"}


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs; `note` says what follows from it, where that is known."""

    where: str
    kind: Kind
    old: Any = None
    new: Any = None
    note: str | None = None

    @property
    def runs(self) -> Sequence[DiffSegment] | None:
        """Both texts word by word, for texts."""
        is_text = isinstance(self.old, str) and isinstance(self.new, str)
        if not is_text or self.where.rpartition(".")[2] not in _TEXTS:
            return None
        return compare_words(self.old, self.new)


def compare_sending(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Return every change between two resolved agents, tools by their names."""
    changes: list[Change] = []
    for key in dict.fromkeys([*old, *new]):
        if key == "tools":
            tools = old.get(key) or [], new.get(key) or []
            changes += _compare_tools(*tools)
        else:
            changes += _compare(key, old.get(key), new.get(key))
    return changes


def _compare(where: str, old: Any, new: Any) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from _compare(f"{where}.{key}", old.get(key), new.get(key))
    elif old is None:
        yield Change(where, "added", None, new)
    elif new is None:
        yield Change(where, "removed", old, None)
    else:
        yield Change(where, "changed", old, new)


# ------------------------------------------------------------------------------ tools


def _compare_tools(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
) -> Iterator[Change]:
    before = {str(each.get("name")): each for each in old}
    after = {str(each.get("name")): each for each in new}
    gone = [name for name in before if name not in after]
    come = [name for name in after if name not in before]
    for name in list(gone):
        twin = next(
            (each for each in come if _is_twin(before[name], after[each])), None
        )
        if twin is not None:
            gone.remove(name)
            come.remove(twin)
            note = "the model and every mock know it by its name"
            yield Change("tools", "renamed", name, twin, note)
    for name in gone:
        yield Change("tools", "removed", name, None, "the model can no longer call it")
    for name in come:
        yield Change("tools", "added", None, name)
    for name in before:
        if name in after:
            yield from _compare_tool(name, before[name], after[name])
    common = [name for name in before if name in after]
    order = [name for name in after if name in before]
    if common != order:
        yield Change("tools", "changed", ", ".join(common), ", ".join(order), "order")


def _is_twin(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return {**old, "name": None} == {**new, "name": None}


def _compare_tool(
    name: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Change]:
    for key in dict.fromkeys([*old, *new]):
        where = f"tools.{name}.{key}"
        if key == "parameters":
            schemas = old.get(key) or {}, new.get(key) or {}
            yield from _compare_parameters(f"tools.{name}", *schemas)
        else:
            yield from _compare(where, old.get(key), new.get(key))


def _compare_parameters(
    tool: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Change]:
    before, after = old.get("properties") or {}, new.get("properties") or {}
    needed, needs = set(old.get("required") or ()), set(new.get("required") or ())
    for name in dict.fromkeys([*before, *after]):
        where = f"{tool}.{name}"
        if name not in after:
            lost = "calls that give it are refused"
            yield Change(where, "removed", before[name], None, lost)
            continue
        note = "calls without it are refused" if name in needs else None
        if name not in before:
            yield Change(where, "added", None, after[name], note)
            continue
        if (name in needed) is not (name in needs):
            was, now = (
                "required" if name in each else "optional" for each in (needed, needs)
            )
            yield Change(where, "changed", was, now, note)
        for change in _compare(where, before[name], after[name]):
            yield Change(
                change.where, change.kind, change.old, change.new, _narrows(change)
            )
    rest = ("properties", "required")
    others = [{k: v for k, v in each.items() if k not in rest} for each in (old, new)]
    yield from _compare(f"{tool}.parameters", *others)


def _narrows(change: Change) -> str | None:
    """Say whether values that were valid no longer are, where that can be told."""
    key = change.where.rpartition(".")[2]
    old, new = change.old, change.new
    if key == "enum" and isinstance(old, list) and isinstance(new, list):
        lost = [json.dumps(each) for each in old if each not in new]
        return f"no longer valid: {', '.join(lost)}" if lost else "more is valid"
    if key in ("pattern", "format", "const", "enum") and change.kind == "added":
        return "less is valid"
    numbers = isinstance(old, int | float) and isinstance(new, int | float)
    if key in ("minimum", "minLength", "minItems") and numbers:
        return "less is valid" if new > old else "more is valid"
    if key in ("maximum", "maxLength", "maxItems") and numbers:
        return "less is valid" if new < old else "more is valid"
    return None
