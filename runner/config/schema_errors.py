"""What breaks the schema, said as a finding at its place in the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.config import wording
from runner.config.diagnostics import Edit, Finding, Fix, Place
from runner.config.spelling import is_surely, nearest, snake
from runner.config.versions import FORMAT, Format

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.config.source import Span
    from runner.config.yaml.nodes import Pointer
    from runner.config.yaml.parser import Document

_VERSION = ("version",)


@dataclass(frozen=True, slots=True)
class Violation:
    """One keyword of a schema that a value does not satisfy.

    `expected` is the keyword's value, `schema` the schema it stands in; `about_key`
    says that `instance` is a key of the mapping at `path`, not the value there.
    """

    keyword: str
    expected: Any
    path: Pointer
    instance: Any
    schema: dict[str, Any]
    about_key: bool = False


def to_findings(
    document: Document,
    violations: Iterable[Violation],
    *,
    above: Pointer = (),
    format_: Format = FORMAT,
    homes: Mapping[str, str] | None = None,
) -> list[tuple[str, Finding]]:
    """Turn violations into findings, one for each broken thing, with their rules' ids.

    `above` is where the checked value lies in the document. What the document has a
    finding for already gets no second one. Of a file of another version only that is
    said: what the version has changed is not known here. `homes` tell where keys belong
    that somebody has put elsewhere; by default those of agent files.
    """
    listed = list(violations)
    for each in listed:
        if (*above, *each.path) == _VERSION and each.keyword == "const":
            found = _other_version(document, each.instance, format_)
            if found is not None:
                return [("VA212", found)]
    scene = _Scene(document, above, homes)
    unknown = [each for each in listed if each.keyword == "additionalProperties"]
    rest = [each for each in listed if each.keyword != "additionalProperties"]
    for each in unknown:
        scene.add_unknown_keys(each)
    for each in rest:
        scene.add(each)
    return list(dict.fromkeys(scene.found))


def _other_version(document: Document, version: Any, format_: Format) -> Finding | None:
    fix = None
    if format_.is_outdated(version):
        text = document.source.text
        title = f"rewrite the file for version {format_.current}"
        new = format_.migrate(text, int(version))
        fix = Fix(title, (Edit(0, len(text), new),))
    elif not format_.is_later(version):
        return None
    span = document.value_span(_VERSION)
    place = Place(document.source, span, document.related(_VERSION))
    return Finding(place, *format_.explain(version), fix, spoils=())


class _Scene:
    """Collects the findings of one check."""

    def __init__(
        self, document: Document, above: Pointer, homes: Mapping[str, str] | None
    ) -> None:
        self.found: list[tuple[str, Finding]] = []
        self._unsound: set[Pointer] = set()
        self._document = document
        self._above = above
        self._homes = homes
        # Keys that an unknown one was probably meant to be: they are not missing.
        self._meant: set[Pointer] = set()

    def add_unknown_keys(self, violation: Violation) -> None:
        """Report each key that the schema does not know."""
        # These are for broken files only, as below.
        from runner.config.dialects import HOMES, RENAMED
        from runner.config.schema_fixes import fix_key

        homes = HOMES if self._homes is None else self._homes
        known = list(violation.schema.get("properties", ()))
        here = (*self._above, *violation.path)
        for key in violation.instance:
            if key in known:
                continue
            if self._document.is_broken((*here, key)):
                continue
            renamed = RENAMED.get(key)
            is_renamed = renamed in known
            guess = renamed if is_renamed else nearest(key, known)
            home = homes.get(snake(key))
            # A known key in the wrong place is not a misspelt one.
            if guess and home and not is_renamed and not is_surely(key, guess):
                guess = None
            if guess:
                self._meant.add((*here, guess))
            if is_renamed and renamed:
                words = wording.renamed_key(key, renamed)
            else:
                words = wording.unknown_key(key, guess, known, home)
            path = (*here, key)
            span = self._document.key_span(path)
            fix = None
            if guess and guess not in violation.instance:
                schema = violation.schema["properties"][guess]
                schema = schema if isinstance(schema, dict) else {}
                fix = fix_key(
                    self._document, path, span, guess, schema, is_renamed=is_renamed
                )
            meant = (*here, guess) if guess else None
            self._report("VA203", path, span, words, fix=fix, meant=meant)

    def add(self, violation: Violation) -> None:
        """Report any other violation."""
        here = (*self._above, *violation.path)
        if self._document.is_broken(here):
            return
        match violation.keyword:
            case "required":
                self._missing(here, violation.expected, violation.instance)
            case "dependentRequired":
                for key, needed in violation.expected.items():
                    if key in violation.instance:
                        self._missing(here, needed, violation.instance, because=key)
            case "oneOf" if alternatives := _alternatives(violation.expected):
                if isinstance(violation.instance, dict):
                    self._choice(here, alternatives, violation.instance)
            case _ if violation.about_key:
                self._bad_key(here, violation)
            case _:
                self._bad_value(here, violation)

    def _missing(
        self,
        here: Pointer,
        needed: list[str],
        mapping: dict[str, Any],
        because: str | None = None,
    ) -> None:
        missing = [
            key
            for key in needed
            if key not in mapping and (*here, key) not in self._meant
        ]
        if missing:
            words = wording.missing_keys(here, missing, because)
            span = self._document.start_span(here)
            self._report("VA204", here, span, words, spoils=False)

    def _choice(
        self, here: Pointer, alternatives: list[str], mapping: dict[str, Any]
    ) -> None:
        present = [key for key in mapping if key in alternatives]
        if len(present) > 1:
            path = (*here, present[1])
            span = self._document.key_span(path)
            self._report("VA211", path, span, wording.too_many_choices(present))
        elif not any((*here, key) in self._meant for key in alternatives):
            words = wording.no_choice(here, alternatives)
            span = self._document.start_span(here)
            self._report("VA210", here, span, words, spoils=False)

    def _bad_key(self, here: Pointer, violation: Violation) -> None:
        path = (*here, violation.instance)
        if self._document.is_broken(path):
            return
        words = wording.bad_key(violation.instance, violation.schema)
        self._report("VA206", path, self._document.key_span(path), words)

    def _bad_value(self, here: Pointer, violation: Violation) -> None:
        if here in self._unsound:
            return  # one value, one finding
        rule, message, help_ = wording.bad_value(
            here,
            violation.keyword,
            violation.expected,
            violation.instance,
            violation.schema,
        )
        from runner.config.schema_fixes import fix_value

        fix = fix_value(self._document, here, violation)
        if fix and fix.is_safe and wording.is_vague(help_, violation.schema):
            help_ = f"write {fix.edits[0].text}"
        elif fix and help_ is None:
            help_ = f"perhaps {fix.edits[0].text}"
        at = here
        if violation.keyword == "maxItems":
            at = (*here, violation.expected)
        elif violation.keyword == "uniqueItems":
            at = (*here, wording.first_repeated(violation.instance))
        span = self._document.value_span(at)
        self._report(rule, here, span, (message, help_), fix=fix)

    def _place(self, path: Pointer, span: Span) -> Place:
        return Place(self._document.source, span, self._document.related(path))

    def _report(
        self,
        rule: str,
        path: Pointer,
        span: Span,
        words: wording.Words,
        *,
        fix: Fix | None = None,
        spoils: bool = True,
        meant: Pointer | None = None,
    ) -> None:
        if spoils:
            self._unsound.add(path)
        place = self._place(path, span)
        spoilt = path if spoils else None
        found = Finding(place, *words, fix, spoils=spoilt, meant=meant)
        self.found.append((rule, found))


def _alternatives(branches: list[Any]) -> list[str]:
    """The keys of a `oneOf` that says "exactly one of these keys", else nothing."""
    keys = []
    for branch in branches:
        match branch:
            case {"required": [str(key)]} if len(branch) == 1:
                keys.append(key)
            case _:
                return []
    return keys
