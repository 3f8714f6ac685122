"""Fault specs such as `drop on=tool.call:2`: catalog, parser, help text and files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any

from runner.config.durations import parse_duration
from runner.config.source import SourceError, read_source
from runner.config.spelling import nearest
from runner.config.yaml.parser import parse_document
from runner.errors import ConfigError, UsageError
from runner.protocol.codec import CLIENT_MESSAGES, SERVER_MESSAGES
from runner.service.faults.model import ANY, BOTH, FORMS, Direction, Fault, Trigger

_SUFFIXES = (".yaml", ".yml")
_SEE = "--fault help lists them"
_DIRECTIONS: Mapping[str, tuple[Direction, ...]] = {
    **dict.fromkeys(CLIENT_MESSAGES, (Direction.UP,)),
    **dict.fromkeys(SERVER_MESSAGES, (Direction.DOWN,)),
}
# The client's first message in each phase, and the message that begins a live session.
_PHASES = {
    "opening": "session.update",
    "resume": "session.resume",
    "live": "session.ready",
}
# The codes that RFC 6455 (7.4) lets an endpoint send. The others report missing frames.
_CLOSE_CODES = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}
# The close code that the service sends after these errors, if the spec gives none.
_FATAL_ERRORS = dict.fromkeys(
    (
        "session_not_found",
        "session_expired",
        "session_forbidden",
        "unauthorized",
        "forbidden",
        "agent_not_found",
    ),
    1008,
)
# A repetition faster than this would only be a busy loop.
_MIN_PERIOD_SECONDS = 0.1
_MAX_MESSAGES = 1_000_000
_MAX_MESSAGE_BYTES = 16 * 2**20


# -------------------------------------------------------------------------- parameters


class InvalidValue(ValueError):
    """A value that a parameter does not accept; `expected` describes valid values."""

    def __init__(self, expected: str, guess: str | None = None) -> None:
        super().__init__(expected)
        self.expected = expected
        self.guess = guess


@dataclass(frozen=True, slots=True)
class Parameter:
    """`parse` converts the text or raises InvalidValue; `meaning` is for the help."""

    parse: Callable[[str], Any]
    meaning: str


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError:
        raise InvalidValue("a duration such as 500ms, 2s or 1m") from None


def _positive_duration(text: str) -> float:
    seconds = _duration(text)
    if not seconds:
        raise InvalidValue("longer than 0s")
    return seconds


def _number(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        # Not `isdigit`: it accepts digits that `int` rejects.
        if re.fullmatch("[0-9]{1,9}", text) and lowest <= int(text) <= highest:
            return int(text)
        raise InvalidValue(f"a number from {lowest} to {highest}")

    return parse


def _every(text: str) -> float | int:
    """Returns a float (seconds) if the text has a unit, else an int (messages)."""
    if re.fullmatch("[1-9][0-9]{0,8}", text):
        return int(text)
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = 0.0
    if seconds < _MIN_PERIOD_SECONDS:
        raise InvalidValue(
            "a duration of at least 100ms (with at=) or a number (with on=)"
        )
    return seconds


def _chance(text: str) -> float:
    if re.fullmatch(r"[01](\.[0-9]{1,9})?", text) and 0 < float(text) <= 1:
        return float(text)
    raise InvalidValue("a probability above 0, up to 1, such as 0.1")


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise InvalidValue(f"one of {', '.join(choices)}", nearest(text, choices))
        return text

    return parse


def _direction(text: str) -> tuple[Direction, ...]:
    name = _choice("up", "down", "both")(text)
    return BOTH if name == "both" else (Direction(name),)


def _message(text: str) -> tuple[str, int]:
    name, colon, count = text.partition(":")
    if name != ANY and name not in _DIRECTIONS:
        raise InvalidValue("a message type, or *", nearest(name, _DIRECTIONS))
    return name, _number(1, 10**9 - 1)(count) if colon else 1


def _close_code(text: str) -> int:
    if re.fullmatch("[0-9]{4}", text) and int(text) in _CLOSE_CODES:
        return int(text)
    raise InvalidValue(
        "a code that can be sent: 1000 to 1003, 1007 to 1014 or 3000 to 4999; "
        "use drop for 1006"
    )


def _close_after(text: str) -> int | str:
    return text if text in ("auto", "none") else _close_code(text)


def _error_code(text: str) -> str:
    if re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,99}", text):
        return text
    raise InvalidValue("a code of session.error, such as internal_error")


_PARAMETERS: Mapping[str, Parameter] = {
    "at": Parameter(_duration, "this long after the first client connected"),
    "on": Parameter(
        _message, "TYPE or TYPE:N: the n-th message of that type; * is any type"
    ),
    "every": Parameter(_every, "again after this long (at=) or this many (on=)"),
    "times": Parameter(_number(1, _MAX_MESSAGES), "at most this often"),
    "chance": Parameter(_chance, "the probability at each occasion"),
    "direction": Parameter(_direction, "up (from the client), down or both (default)"),
    "for": Parameter(_positive_duration, "how long it lasts"),
    "by": Parameter(_duration, "how much later"),
    "jitter": Parameter(_duration, "up to this much later still, random per message"),
    "period": Parameter(_positive_duration, "the time between two bursts"),
    "within": Parameter(
        _positive_duration, "how long to wait for the next message (default 1s)"
    ),
    "code": Parameter(_close_code, "the code of the closing frame"),
    "error.code": Parameter(_error_code, "the code of the session.error"),
    "status": Parameter(_number(300, 599), "the HTTP status"),
    "message": Parameter(str, "its text, in quotes"),
    "close": Parameter(
        _close_after, "a code to close with after it; none; default: by its code"
    ),
    "phase": Parameter(_choice(*_PHASES), "opening, resume or live, in place of on="),
    "how": Parameter(_choice("end", "reset"), "how TCP ends: end (default) or reset"),
    "form": Parameter(_choice(*FORMS), f"{', '.join(FORMS)} (default: any)"),
    "count": Parameter(_number(1, _MAX_MESSAGES), "how many (default 1000)"),
    "size": Parameter(_number(0, _MAX_MESSAGE_BYTES), "pad each to this many bytes"),
    "of": Parameter(
        _choice("unknown", "copies"), "unknown (default), or copies of the message"
    ),
}
_TRIGGER_PARAMETERS = {"at", "on", "every", "times", "chance", "phase", "direction"}


# ----------------------------------------------------------------------------- catalog


class TriggerKind(Enum):
    """When faults of a kind can happen."""

    ANY = auto()  # at a time or at a message; one of the two is required
    MESSAGE = auto()  # at a message only: it happens to the message
    WINDOW = auto()  # from a time or a message on; by default from the beginning


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault as the help shows it and the parser reads it.

    A parameter without a default is required unless it belongs to the trigger.
    """

    name: str
    summary: str
    example: str
    trigger: TriggerKind
    parameters: Mapping[str, Parameter]
    defaults: Mapping[str, Any]


def _kind(
    trigger: TriggerKind,
    name: str,
    parameters: str,
    summary: str,
    example: str,
    **defaults: Any,
) -> FaultKind:
    names = parameters.split()
    known = {each: _PARAMETERS.get(f"{name}.{each}") for each in names}
    return FaultKind(
        name,
        summary,
        example,
        trigger,
        {each: known[each] or _PARAMETERS[each] for each in names},
        defaults,
    )


_REPEATED = "every times chance"
_ONCE = f"at on {_REPEATED}"
_MESSAGE = f"on direction {_REPEATED}"
_KINDS = (
    _kind(
        TriggerKind.ANY,
        "drop",
        f"how {_ONCE}",
        "the connection ends without a closing frame (clients see 1006)",
        "drop on=reply.audio:10",
        how="end",
    ),
    _kind(
        TriggerKind.ANY,
        "close",
        f"code {_ONCE}",
        "the connection is closed with a code",
        "close code=1011 on=reply.started",
    ),
    _kind(
        TriggerKind.ANY,
        "outage",
        f"for {_ONCE}",
        "all connections end, and new ones are reset for a while",
        "outage at=4s for=3s",
    ),
    _kind(
        TriggerKind.WINDOW,
        "refuse",
        "status at on for times",
        "requests, the upgrade first, get an HTTP status, as from a proxy",
        "refuse status=502 for=2s",
        **{"for": None},
    ),
    _kind(
        TriggerKind.ANY,
        "half-open",
        f"for {_ONCE}",
        "nothing is read or sent, pings included; reset after for=",
        "half-open at=4s for=1m",
        **{"for": 60.0},
    ),
    _kind(
        TriggerKind.WINDOW,
        "slow",
        "by jitter direction at on for",
        "messages take longer, in order, as on a bad network",
        "slow by=200ms jitter=100ms direction=both",
        **{"jitter": 0.0, "direction": BOTH, "for": None},
    ),
    _kind(
        TriggerKind.WINDOW,
        "burst",
        "period direction at on for",
        "messages wait and arrive together, once in a period",
        "burst period=1s direction=down",
        **{"direction": BOTH, "for": None},
    ),
    _kind(
        TriggerKind.MESSAGE,
        "late",
        f"by {_MESSAGE}",
        "a message is overtaken by later ones",
        "late on=reply.done by=500ms",
    ),
    _kind(
        TriggerKind.MESSAGE,
        "duplicate",
        f"by {_MESSAGE}",
        "a message arrives twice",
        "duplicate on=tool.call",
        by=0.0,
    ),
    _kind(
        TriggerKind.MESSAGE,
        "reorder",
        f"within {_MESSAGE}",
        "a message changes places with the next of its direction",
        "reorder on=* chance=0.1 direction=down",
        within=1.0,
    ),
    _kind(
        TriggerKind.MESSAGE,
        "lose",
        _MESSAGE,
        "a message never arrives; of tool.result, a missing acknowledgement",
        "lose on=tool.result",
    ),
    _kind(
        TriggerKind.MESSAGE,
        "silence",
        f"on {_REPEATED}",
        "a reply starts, and nothing more of it arrives",
        "silence on=reply.started:2",
        on=("reply.started", 1),
    ),
    _kind(
        TriggerKind.ANY,
        "error",
        f"code message close phase {_ONCE}",
        "a session.error arrives; to a client's message, instead of an answer",
        "error code=at_capacity phase=opening",
        message=None,
        close="auto",
    ),
    _kind(
        TriggerKind.ANY,
        "garbage",
        f"form {_ONCE}",
        "malformed data arrives",
        "garbage on=reply.started form=truncated",
        form=None,
    ),
    _kind(
        TriggerKind.ANY,
        "flood",
        f"count size of {_ONCE}",
        "many messages arrive at once: copies, or of an unknown type",
        "flood on=reply.audio count=1000 of=copies",
        count=1000,
        size=0,
        of="unknown",
    ),
)
KINDS: Mapping[str, FaultKind] = {kind.name: kind for kind in _KINDS}
_NOTES = (
    "A fault happens once unless every=, times= or chance= says otherwise. Times count",
    "from the first client that connects; times without an open connection pass.",
    "Messages are counted over all connections. A fault at a message happens after the",
    "message; lose and drop on the same message lose it and end the connection. The",
    "same seed (--fault-seed) and the same messages give the same faults.",
)


def describe_faults() -> str:
    """Returns the help: each kind with a summary, an example and its parameters."""
    lines = ["--fault 'KIND key=value ...', several times, or --fault FILE.yaml", ""]
    meanings: dict[str, str] = {}
    for kind in KINDS.values():
        lines += [f"{kind.name}: {kind.summary}", f"    {kind.example}"]
        lines += [f"    takes {', '.join(kind.parameters)}"]
        for name, parameter in kind.parameters.items():
            known = meanings.setdefault(name, parameter.meaning)
            if parameter.meaning not in known:
                meanings[name] = f"{known}; {kind.name}: {parameter.meaning}"
    lines.append("")
    lines += [f"{name + '=':<11}{meaning}" for name, meaning in meanings.items()]
    return "\n".join([*lines, "", *_NOTES])


# ------------------------------------------------------------------------------ parser


def load_faults(given: Iterable[str]) -> list[Fault]:
    """Reads specs, and the specs of the YAML files among them, in their order.

    Raises:
        UsageError: a spec is invalid. ConfigError: a file is not YAML.
        FileUnreadable: a file does not exist.
    """
    faults: list[Fault] = []
    for each in given:
        if each.endswith(_SUFFIXES):
            faults += _read_file(Path(each))
        else:
            faults.append(parse_fault(each))
    return faults


def _read_file(path: Path) -> Iterator[Fault]:
    try:
        source = read_source(path)
    except SourceError as fault:
        raise UsageError(f"{path}: {fault.message}", hint=fault.help) from None
    document, findings = parse_document(source)
    if document is None or any(found.severity == "error" for found in findings):
        raise ConfigError(f"{path} cannot be read", findings)
    if not isinstance(document.value, list):
        raise UsageError(
            f"{path} is not a list of faults",
            hint="write one per line, as in `- drop on=tool.call`",
        )
    for index, spec in enumerate(document.value):
        line, _ = source.point(document.value_span((index,)).start)
        if not isinstance(spec, str):
            raise UsageError(
                f"{path}:{line}: a fault is written as text",
                hint="as in `- drop on=tool.call`; --fault help lists them",
            )
        try:
            yield parse_fault(spec)
        except UsageError as error:
            raise UsageError(
                f"{path}:{line}: {error.message}", hint=error.hint
            ) from None


def parse_fault(spec: str) -> Fault:
    """Reads one spec: a kind, then key=value, in any order.

    Raises:
        UsageError: the spec is invalid; names the part and what is expected.
    """
    try:
        words = shlex.split(spec)
    except ValueError as error:
        raise _invalid(spec, f"is not closed ({str(error).lower()})") from None
    if not words:
        raise _invalid(spec, "is empty")
    kind = KINDS.get(words[0])
    if kind is None:
        raise _invalid(spec, f"unknown kind '{words[0]}'", nearest(words[0], KINDS))
    values = _read_values(spec, kind, words[1:])
    _check(spec, kind, values)
    if kind.name == "refuse":
        times = None if "for" in values else 1
    else:
        times = None if values.keys() & {"every", "chance"} else 1
    complete = dict.fromkeys(kind.parameters) | {"times": times, **kind.defaults}
    complete |= values
    if kind.name == "error":
        _complete_error(complete)
    if kind.trigger is TriggerKind.WINDOW:
        # `direction` and `times` limit the effect; the trigger begins it, once.
        own = kind.parameters.keys() - {"at", "on"}
        trigger = _trigger({**complete, "times": 1})
    else:
        own = kind.parameters.keys() - _TRIGGER_PARAMETERS
        trigger = _trigger(complete)
    return Fault(spec, kind.name, trigger, {name: complete[name] for name in own})


def _read_values(spec: str, kind: FaultKind, words: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        parameter = kind.parameters.get(name)
        guess = nearest(name, kind.parameters)
        if not equals:
            raise _invalid(spec, f"'{word}' is not key=value", guess)
        if parameter is None:
            takes = f"it takes {', '.join(kind.parameters)}"
            raise _invalid(spec, f"{kind.name} does not take '{name}'", guess, takes)
        if name in values:
            raise _invalid(spec, f"'{name}' is given twice")
        try:
            values[name] = parameter.parse(text)
        except InvalidValue as invalid:
            why = f"{name}='{text}' is not {invalid.expected}"
            raise _invalid(spec, why, invalid.guess) from None
    return values


def _check(spec: str, kind: FaultKind, values: dict[str, Any]) -> None:
    """Raises UsageError if values are missing or contradictory; resolves `phase`."""
    if "phase" in values:
        if values.keys() & {"at", "on"}:
            raise _invalid(spec, "phase= replaces at= and on=")
        values["on"] = (_PHASES[values["phase"]], 1)
    optional = _TRIGGER_PARAMETERS | values.keys() | kind.defaults.keys()
    for name in kind.parameters:
        if name not in optional:
            raise _missing(spec, kind, f"{name}=")
    on: Any = values.get("on", kind.defaults.get("on"))
    _check_trigger(spec, kind, values, has_on=on is not None)
    directions = () if on is None else _DIRECTIONS.get(on[0], ())
    if kind.trigger is TriggerKind.MESSAGE and "direction" in values and directions:
        only = directions[0].value
        raise _invalid(spec, f"direction= needs on=*: {on[0]} only goes {only}")
    if values.get("of") == "copies" and directions != (Direction.DOWN,):
        raise _invalid(spec, "of=copies needs on= with a message of the service")


def _check_trigger(
    spec: str, kind: FaultKind, values: Mapping[str, Any], *, has_on: bool
) -> None:
    has_at, every = "at" in values, values.get("every")
    if has_at and has_on:
        raise _invalid(spec, "at= and on= exclude each other")
    if kind.trigger is TriggerKind.MESSAGE and not has_on:
        raise _missing(spec, kind, "on=")
    if kind.trigger is TriggerKind.ANY and not (has_on or has_at):
        raise _missing(spec, kind, "at= or on=")
    once = kind.trigger is TriggerKind.ANY and has_at and every is None
    if once and values.get("times", 1) > 1:
        raise _invalid(spec, "times= needs every= if the fault has at=")
    if every is not None and isinstance(every, int) == has_at:
        needs = "a duration with at=" if has_at else "a number with on="
        raise _invalid(spec, f"every= is {needs}")


def _complete_error(values: dict[str, Any]) -> None:
    """Fills in the message and the close code of `error` as the service sets them."""
    code = values["code"].lower()
    values["message"] = values["message"] or f"{values['code']} (injected)"
    if values["close"] == "auto":
        is_answer = values["on"] in (("session.update", 1), ("session.resume", 1))
        fallback = 1011 if code == "internal_error" else 1008
        values["close"] = _FATAL_ERRORS.get(code, fallback if is_answer else None)
    elif values["close"] == "none":
        values["close"] = None


def _trigger(values: Mapping[str, Any]) -> Trigger:
    repeated = (values.get("every"), values["times"], values.get("chance") or 1.0)
    if values["on"] is None:
        return Trigger(values.get("at") or 0.0, None, 1, *repeated)
    name, nth = values["on"]
    directions = values.get("direction") or BOTH if name == ANY else _DIRECTIONS[name]
    return Trigger(None, name, nth, *repeated, directions=directions)


def _missing(spec: str, kind: FaultKind, what: str) -> UsageError:
    return _invalid(
        spec, f"{kind.name} needs {what}", hint=f"for example: {kind.example}"
    )


def _invalid(
    spec: str, why: str, guess: str | None = None, hint: str | None = None
) -> UsageError:
    hint = f"did you mean '{guess}'?" if guess else hint
    return UsageError(
        f"fault '{spec}': {why}", hint=f"{hint}; {_SEE}" if hint else _SEE
    )
