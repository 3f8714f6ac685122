"""Rules VA450 and VA455: the arguments that a schema names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import Finding, quoted, replacement
from runner.config.rules.rule import rule
from runner.config.spelling import nearest
from runner.config.subschemas import find_subschemas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.subschemas import Subschema
    from runner.config.yaml.nodes import Pointer

# Keywords that admit properties which `properties` does not name.
_OPENING = {
    *("additionalProperties", "unevaluatedProperties", "patternProperties"),
    *("allOf", "anyOf", "oneOf", "if", "$ref", "dependentSchemas"),
}


@rule("VA450", "required-unknown")
def required_unknown(inspection: RuleContext) -> Iterator[Finding]:
    """`required` names an argument that `properties` does not have.

    A call without it is refused because it is missing, and a call with it because there
    is no such argument: the tool can never be called.

    Bad:
        tools:
          - name: look
            description: Look something up.
            parameters:
              type: object
              properties: {street: {type: string}}
              required: [steet]
            http: {url: "https://api.example.com/look"}

    Good:
        tools:
          - name: look
            description: Look something up.
            parameters:
              type: object
              properties: {street: {type: string}}
              required: [street]
            http: {url: "https://api.example.com/look"}
    """
    for each in inspection.fact(find_subschemas):
        required = each.keywords.get("required", ())
        known = each.keywords.get("properties", {} if not each.keyword else None)
        # The types are not looked at again: what is no schema is unsound.
        if each.is_part or known is None or _is_open(each):
            continue
        for index, name in enumerate(required):
            if not isinstance(name, str) or name in known or "${" in name:
                continue
            path = (*each.path, "required", index)
            guess = nearest(name, [key for key in known if key not in required])
            place = inspection.part(path, 0, len(name))
            yield Finding(
                place,
                f"`required` names `{name}`, which is not one of the `properties`",
                f"did you mean `{guess}`?" if guess else "describe it there",
                replacement(place, name, guess) if guess else None,
                # Inside an argument more is admitted than is described.
                severity="warning" if each.keyword else None,
                spoils=path,
            )


def _is_open(schema: Subschema) -> bool:
    return any(schema.keywords.get(keyword, False) is not False for keyword in _OPENING)


@rule("VA455", "reference-dangling")
def reference_dangling(inspection: RuleContext) -> Iterator[Finding]:
    """A `$ref` leads nowhere.

    It leads to a part of the same `parameters`, such as `#/$defs/address`: the schema
    of each tool stands for itself, and nothing is fetched from elsewhere.

    Bad:
        tools:
          - name: move
            description: Note the new address.
            parameters:
              type: object
              $defs: {address: {type: string}}
              properties: {to: {$ref: "#/$defs/adress"}}
            http: {url: "https://api.example.com/move"}

    Good:
        tools:
          - name: move
            description: Note the new address.
            parameters:
              type: object
              $defs: {address: {type: string}}
              properties: {to: {$ref: "#/$defs/address"}}
            http: {url: "https://api.example.com/move"}
    """
    root: Subschema | None = None
    for each in inspection.fact(find_subschemas):
        if not each.keyword:
            # What a reference leads through may be what is wrong.
            root = each if inspection.is_whole(each.path) else None
        reference = each.keywords.get("$ref")
        if root is None or not isinstance(reference, str) or "${" in reference:
            continue
        from runner.config.schema import resolves

        if resolves(reference, root.keywords):
            continue
        path = (*each.path, "$ref")
        place = inspection.part(path, 0, len(reference))
        yield _dangling(root, reference, place, path)


def _dangling(root: Subschema, reference: str, place: Any, path: Pointer) -> Finding:
    if not reference.startswith("#"):
        message = f"`$ref` leads to {quoted(reference)}, outside of these parameters"
        help_ = "copy that schema under `$defs`, and write `#/$defs/` with its name"
        return Finding(place, message, help_, spoils=path)
    message = f"`$ref` leads to {quoted(reference)}, which is not there"
    known = [
        f"#/{group}/{name}"
        for group in ("$defs", "definitions", "properties")
        for name in root.keywords.get(group, ())
    ]
    guess = nearest(reference, known)
    if guess is None:
        # The same name in another group is what was meant, too.
        last = reference.rpartition("/")[2]
        same = [each for each in known if each.rpartition("/")[2] == last]
        guess = same[0] if len(same) == 1 else None
    fix = replacement(place, reference, guess) if guess else None
    help_ = f"did you mean `{guess}`?" if guess else "define it under `$defs`"
    return Finding(place, message, help_, fix, spoils=path)
