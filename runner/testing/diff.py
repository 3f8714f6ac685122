"""Comparison of two agents: scenario results, resolved configuration, texts."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path, PurePosixPath
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Literal

from runner.config.files import referenced_files
from runner.errors import FileUnreadable, UsageError
from runner.testing.results import ScenarioResult
from runner.testing.runner import TestOptions, run_scenario
from runner.testing.scenarios.model import Scenario

# Smaller differences come from the machine or from utterances of other lengths.
_LATENCY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class ScenarioChange:
    """One scenario on both agents."""

    name: str
    old: ScenarioResult
    new: ScenarioResult

    @property
    def parts(self) -> Sequence[str]:
        """The parts that differ: result, calls, words, latency."""
        found: list[str] = []
        if self.old.status is not self.new.status:
            found.append("result")
        if _calls(self.old) != _calls(self.new):
            found.append("calls")
        if self.old.said != self.new.said:
            found.append("words")
        waits = [median(each.waits) if each.waits else 0.0 for each in self.both]
        if abs(waits[0] - waits[1]) > _LATENCY_SECONDS:
            found.append("latency")
        return found

    @property
    def both(self) -> tuple[ScenarioResult, ScenarioResult]:
        """Old and new."""
        return self.old, self.new


def compare_behavior(
    scenarios: Sequence[Scenario], old: Path, new: Path, options: TestOptions
) -> list[ScenarioChange]:
    """Runs each scenario on both agents; returns all results, equal ones included."""
    changes: list[ScenarioChange] = []
    for scenario in scenarios:
        before, after = (
            run_scenario(replace(scenario, agent=agent), options)
            for agent in (old, new)
        )
        changes.append(ScenarioChange(scenario.id, before, after))
    return changes


def _calls(result: ScenarioResult) -> list[tuple[str, object]]:
    return [(each.tool, dict(each.arguments)) for each in result.calls]


# The resolved configuration of two agents, value by value.


Kind = Literal["added", "removed", "changed", "renamed"]
# Texts that are compared word by word.
_TEXTS = {"prompt", "greeting", "description", "say", "announce", "one_minute_left"}


@dataclass(frozen=True, slots=True)
class Change:
    """A value that differs; `note` describes a known consequence."""

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
    """Returns every change between two resolved agents, tools by their names."""
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
    """Returns a note on values that are no longer or newly valid, where known."""
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


# Comparison of two texts by words.


_WORD = re.compile(r"\s+|[^\s]+")


@dataclass(frozen=True, slots=True)
class DiffSegment:
    """A piece of text in both texts, or only in the old or the new one."""

    kind: Literal["same", "old", "new"]
    text: str


def compare_words(old: str, new: str) -> Sequence[DiffSegment]:
    """Returns the differences of two texts as segments.

    Changes with only white space between them are merged.
    """
    before, after = _WORD.findall(old), _WORD.findall(new)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    pieces: list[tuple[str, str]] = []  # of the old text and of the new one
    for _, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        piece = "".join(before[old_from:old_to]), "".join(after[new_from:new_to])
        is_change = piece[0] != piece[1]
        if is_change and len(pieces) > 1 and _is_gap(*pieces[-2:]):
            (first, second), (gap, _) = pieces[-2:]
            pieces[-2:] = [(first + gap + piece[0], second + gap + piece[1])]
        else:
            pieces.append(piece)
    return [run for piece in pieces for run in _runs(*piece)]


def _is_gap(before: tuple[str, str], gap: tuple[str, str]) -> bool:
    return before[0] != before[1] and gap[0] == gap[1] and gap[0].isspace()


def _runs(old: str, new: str) -> Iterator[DiffSegment]:
    if old == new:
        yield DiffSegment("same", old)
        return
    if old:
        yield DiffSegment("old", old)
    if new:
        yield DiffSegment("new", new)


def shorten_runs(
    runs: Sequence[DiffSegment], context: int = 60
) -> Sequence[DiffSegment]:
    """Shortens equal segments to this many characters next to each difference."""
    shown: list[DiffSegment] = []
    for number, run in enumerate(runs):
        if run.kind != "same" or len(run.text) <= 2 * context + 1:
            shown.append(run)
            continue
        head = run.text[:context] if number else ""
        tail = run.text[-context:] if number < len(runs) - 1 else ""
        shown.append(DiffSegment("same", f"{head}…{tail}"))
    return shown


# Agent files in the working tree and in revisions: `HEAD~1:agents/support.yaml`.


@contextlib.contextmanager
def agent_file(text: str) -> Iterator[Path]:
    """Yields the path of an agent file; of a revision, a copy with what it uses.

    Raises:
        UsageError: the file, revision or repository, or git, does not exist.
    """
    revision, colon, inside = text.partition(":")
    if Path(text).exists() or not colon or not inside:
        if not Path(text).exists():
            hint = "a file, or REVISION:PATH such as HEAD~1:agents/support.yaml"
            raise UsageError(f"there is no {text}", hint=hint)
        yield Path(text)
        return
    path = _in_repository(inside)
    with TemporaryDirectory(prefix="vagent-") as folder:
        _unpack(revision, path, Path(folder))
        yield Path(folder, *path.parts)


def committed(path: Path) -> str:
    """Returns `HEAD:PATH` of a file in the working tree."""
    resolved = path.resolve()
    top = Path(_git("rev-parse", "--show-toplevel", folder=resolved.parent).strip())
    try:
        inside = resolved.relative_to(top.resolve())
    except ValueError:
        raise UsageError(f"{path} is in no repository") from None
    return f"HEAD:{inside.as_posix()}"


def _in_repository(inside: str) -> PurePosixPath:
    """Returns a path from the top of the repository, as git takes `REV:PATH`."""
    if inside.startswith("./"):
        return PurePosixPath(_git("rev-parse", "--show-prefix").strip(), inside)
    return PurePosixPath(inside)


def _unpack(revision: str, path: PurePosixPath, folder: Path) -> None:
    """Writes an agent file of a revision, and the files that it uses, to a folder."""
    files = _list_files(revision, path)
    if not files:
        raise UsageError(f"there is no {path} in {revision}")
    _write(files, folder)
    wanted: dict[PurePosixPath, str] = {}
    for used in referenced_files(folder / path):
        inside = PurePosixPath(used.relative_to(folder).as_posix())
        # Tools import their neighbors and read files next to them.
        is_python = used.suffix == ".py" and inside.parent.name
        wanted |= _list_files(revision, inside.parent if is_python else inside)
    for each, blob in _list_files(revision, path.parent, recursive=False).items():
        if each.name.endswith((".test.yaml", ".test.yml")) or each.suffix == ".py":
            wanted[each] = blob
    _write(wanted, folder)


def _list_files(
    revision: str, path: PurePosixPath, *, recursive: bool = True
) -> dict[PurePosixPath, str]:
    """Returns the blobs of the regular files at or below a path of a revision.

    Links are left out: they could lead out of the folder.
    """
    if revision.startswith("-"):
        raise UsageError(f"'{revision}' is not a revision")
    options = ["-r"] if recursive else []
    # A folder without its slash is listed as one entry.
    shown = "" if path == PurePosixPath() else path.as_posix()
    places = [f"{shown}/"] if shown and not recursive else [shown] if shown else []
    listed = _git(
        *("--literal-pathspecs", "ls-tree", "-z", "--full-tree", *options),
        *(revision, "--", *places),
    )
    files: dict[PurePosixPath, str] = {}
    for entry in filter(None, listed.split("\0")):
        kind, _, name = entry.partition("\t")
        mode, _, blob = kind.split()
        place = PurePosixPath(name)
        if mode in ("100644", "100755") and ".." not in place.parts:
            files[place] = blob
    return files


def _write(files: Mapping[PurePosixPath, str], folder: Path) -> None:
    for path, blob in files.items():
        target = folder.joinpath(*path.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_run(["git", "cat-file", "blob", blob], None))


def _git(*arguments: str, folder: Path | None = None) -> str:
    return _run(["git", *arguments], folder).decode("utf-8", "replace")


def _run(command: list[str], folder: Path | None) -> bytes:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    except FileNotFoundError:
        raise UsageError("git is not installed, and a revision was asked for") from None
    except OSError as error:
        raise FileUnreadable(f"git cannot be run: {error}") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = said[-1] if said else f"exit code {done.returncode}"
        raise UsageError(f"git says: {reason.removeprefix('fatal: ')}")
    return done.stdout
