"""From `drop on=tool.call:2` to a `Fault`, and from the table to the help."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runner.config.names import nearest
from runner.errors import UsageError
from runner.faults.fault import ANY, BOTH, Direction, Fault, Refuse, Trigger
from runner.faults.keys import PHASES, TYPES, Unfit
from runner.faults.kinds import KINDS, Kind, Moment

_SEE = "--fault help lists them"
_TRIGGER_KEYS = {"at", "on", "every", "times", "chance", "phase", "direction"}


def parse_fault(spec: str) -> Fault:
    """Read one spec: a kind, then key=value, in any order.

    Raises:
        UsageError: the spec is none; says which part and what was meant.
    """
    try:
        words = shlex.split(spec)
    except ValueError as error:
        raise _wrong(spec, f"is not closed ({str(error).lower()})") from None
    if not words:
        raise _wrong(spec, "is empty")
    kind = KINDS.get(words[0])
    if kind is None:
        raise _wrong(spec, f"there is no '{words[0]}'", nearest(words[0], KINDS))
    values = _read_values(spec, kind, words[1:])
    _check(spec, kind, values)
    complete = {key: values.get(key, kind.defaults.get(key)) for key in kind.keys}
    complete["times"] = values.get("times", _times_by_default(kind, values))
    trigger = _trigger(kind, complete)
    effect = kind.build(complete)
    if isinstance(effect, Refuse):
        # Its `times` counts clients turned away, not beginnings.
        trigger = replace(trigger, times=1)
    return Fault(spec, trigger, effect)


def describe_faults() -> str:
    """Return the help: every kind with a line, an example and what it takes."""
    lines = ["--fault 'KIND key=value ...', several times, or --fault FILE.yaml", ""]
    meanings: dict[str, str] = {}
    for kind in KINDS.values():
        lines += [f"{kind.name}: {kind.summary}", f"    {kind.example}"]
        lines += [f"    takes {', '.join(kind.keys)}"]
        for name, key in kind.keys.items():
            said = meanings.setdefault(name, key.meaning)
            if key.meaning not in said:
                meanings[name] = f"{said}; {kind.name}: {key.meaning}"
    lines.append("")
    lines += [f"{name + '=':<11}{meaning}" for name, meaning in meanings.items()]
    lines += ["", *_NOTES]
    return "\n".join(lines)


_NOTES = (
    "A fault happens once unless every=, times= or chance= says otherwise. Times count",
    "from the first client that knocks; one at which no line is open passes. Messages",
    "are counted over all connections. What happens at a message happens after it has",
    "passed; lose and drop on the same message lose it with the line. The same seed",
    "(--fault-seed) and the same messages give the same faults.",
)


def _read_values(spec: str, kind: Kind, words: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        key = kind.keys.get(name)
        if not equals:
            raise _wrong(spec, f"'{word}' is not key=value", nearest(name, kind.keys))
        if key is None:
            guess = nearest(name, kind.keys)
            takes = f"it takes {', '.join(kind.keys)}"
            raise _wrong(spec, f"{kind.name} takes no '{name}'", guess, takes)
        if name in values:
            raise _wrong(spec, f"'{name}' is given twice")
        try:
            values[name] = key.parse(text)
        except Unfit as unfit:
            why = f"{name}='{text}' is not {unfit.meant}"
            raise _wrong(spec, why, unfit.guess) from None
    return values


def _check(spec: str, kind: Kind, values: dict[str, Any]) -> None:
    """Refuse what is missing and what contradicts itself; settles `phase`."""
    if "phase" in values:
        if values.keys() & {"at", "on"}:
            raise _wrong(spec, "phase= stands in place of at= and on=")
        values["on"] = (PHASES[values["phase"]], 1)
    for name in kind.keys:
        if name not in _TRIGGER_KEYS | values.keys() | kind.defaults.keys():
            raise _wrong(spec, f"{kind.name} needs {name}=", hint=_like(kind))
    on: Any = values.get("on", kind.defaults.get("on"))
    _check_moment(spec, kind, values, has_on=on is not None)
    if kind.moment is Moment.MESSAGE and "direction" in values and on[0] != ANY:
        way = TYPES[on[0]][0].value
        raise _wrong(spec, f"direction= is for on=*: {on[0]} only goes {way}")
    every = values.get("every")
    if every is not None and isinstance(every, int) == ("at" in values):
        needs = "a duration with at=" if "at" in values else "a number with on="
        raise _wrong(spec, f"every= is {needs}")
    if values.get("of") == "copies" and (on is None or not _comes_down(on[0])):
        raise _wrong(spec, "of=copies needs on= with a message of the service")


def _check_moment(
    spec: str, kind: Kind, values: Mapping[str, Any], *, has_on: bool
) -> None:
    if "at" in values and has_on:
        raise _wrong(spec, "at= and on= exclude each other")
    if kind.moment is Moment.ANY and not has_on and "at" not in values:
        raise _wrong(spec, f"{kind.name} needs at= or on=", hint=_like(kind))
    if kind.moment is Moment.MESSAGE and not has_on:
        raise _wrong(spec, f"{kind.name} needs on=", hint=_like(kind))
    lone = "at" in values and "every" not in values
    if lone and values.get("times", 1) > 1 and kind.moment is Moment.ANY:
        raise _wrong(spec, "times= needs every= where the fault has at=")


def _comes_down(name: str) -> bool:
    return TYPES.get(name) == (Direction.DOWN,)


def _times_by_default(kind: Kind, values: Mapping[str, Any]) -> int | None:
    if kind.name == "refuse":
        return None if "for" in values else 1
    return None if values.keys() & {"every", "chance"} else 1


def _trigger(kind: Kind, values: Mapping[str, Any]) -> Trigger:
    shared = (values.get("every"), values["times"], values.get("chance") or 1.0)
    on = values.get("on")
    if on is None:
        return Trigger(values.get("at") or 0.0, None, 1, *shared)
    name, nth = on
    ways = TYPES[name] if name != ANY else values.get("direction") or BOTH
    return Trigger(None, name, nth, *shared, directions=ways)


def _like(kind: Kind) -> str:
    return f"for example: {kind.example}"


def _wrong(
    spec: str, why: str, guess: str | None = None, hint: str | None = None
) -> UsageError:
    said = f"did you mean '{guess}'?" if guess else hint
    return UsageError(
        f"fault '{spec}': {why}", hint=f"{said}; {_SEE}" if said else _SEE
    )
