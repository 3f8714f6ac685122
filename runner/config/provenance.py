"""Traces each value of an agent to its origin: a line, a variable, a default.

`trace` returns the effective values of an agent file and the `Origin` of each. Values
from the environment are shown as `${env:NAME}`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from runner.config.interpolation import Expander, find_placeholders
from runner.config.lint.references import read_prompt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer

# file: set in the file. given: --var. default: of vagent. service: not sent, so the
# default of the service. unset: no value. signature, docstring, mark: of a Python
# function. plugin: of an installed tool. unloaded: of a tool that was not loaded.
Kind: TypeAlias = Literal[
    "file",
    "given",
    "default",
    "service",
    "unset",
    "signature",
    "docstring",
    "mark",
    "plugin",
    "unloaded",
]


@dataclass(frozen=True, slots=True)
class Use:
    """A placeholder in a text and the origin of its value.

    For an environment variable `origin` is "environment" or "unset".
    """

    name: str  # the text between the braces
    origin: Literal["default", "given", "unset", "environment"]
    line: int | None = None  # of a variable's default


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a value; `line` and `column` are 1-based."""

    kind: Kind
    file: str | None = None  # None: the agent file, if there is a line
    line: int | None = None
    column: int | None = None
    detail: str = ""  # explanation for display
    uses: tuple[Use, ...] = ()


Origins: TypeAlias = "dict[Pointer, Origin]"


@dataclass(frozen=True, slots=True)
class TracedConfig:
    """The effective values of an agent, and their origins by pointer.

    A pointer that is not in `origins` has the origin of its nearest parent.
    """

    values: dict[str, Any]
    origins: Origins = field(default_factory=dict)

    def origin(self, path: Pointer) -> Origin:
        """Returns the origin of the value at `path`."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.origins:
                return self.origins[path[:end]]
        raise KeyError(path)


# Optional fields in display order: pointer, default value, origin of the default, and
# its explanation.
_DEFAULTS: tuple[tuple[Pointer, Any, Kind, str], ...] = (
    (("greeting",), None, "service", ""),
    (("voice", "name"), None, "service", ""),
    (("voice", "volume"), None, "service", ""),
    (("languages",), None, "service", ""),
    (("key_terms",), None, "service", ""),
    (("transcription", "mode"), None, "service", ""),
    (("transcription", "prompt"), None, "service", ""),
    (("turn_detection", "vad_threshold"), None, "service", ""),
    (("turn_detection", "min_silence"), None, "service", ""),
    (("turn_detection", "max_silence"), None, "service", ""),
    (("turn_detection", "interruptible"), None, "service", ""),
    (("turn_detection", "interruption_delay"), None, "service", ""),
    (("variables",), {}, "default", "none"),
    (("tools",), [], "default", "none"),
    (("session", "max_duration"), None, "default", "no limit"),
    (("session", "one_minute_left"), None, "default", "not announced"),
    (("session", "idle", "nudge_after"), None, "default", "never"),
    (("session", "idle", "say"), None, "default", "chosen by the agent"),
    (("session", "idle", "end_after"), None, "default", "never"),
    (("session", "tool_results"), "after_reply", "default", ""),
    (("session", "carry_over"), None, "default", "on with the local service"),
    (("service", "url"), None, "default", "chosen at the start"),
    (("local", "stt"), None, "default", "whisper-base"),
    (("local", "llm"), "auto", "default", ""),
    (("local", "tts"), None, "default", "joe"),
)


def placeholder_for(name: str) -> str:
    """Returns the text that is shown instead of an environment variable's value."""
    return f"${{env:{name}}}"


def trace(
    inspection: RuleContext,
    given: Mapping[str, str],
    variables: Mapping[str, str],
    environment: Mapping[str, str],
) -> TracedConfig:
    """Returns the values of a valid agent file with their origins.

    `given` are the variables of the command line. `variables` and `environment` are the
    values of all variables, in the form to display.
    """
    tracer = _Tracer(inspection, given, Expander(variables, environment))
    source = dict(inspection.document.value)
    traced = TracedConfig({"version": source["version"], "name": source["name"]})
    for key in ("version", "name"):
        traced.origins[key,] = tracer.written((key,), None)
    tracer.prompt(traced)
    for path, value, kind, detail in _DEFAULTS:
        _put(traced, path, *tracer.value(path, value, Origin(kind, detail=detail)))
    traced.origins.update(tracer.leaves(("tools",), source.get("tools", [])))
    for name in source.get("variables", {}):
        traced.values["variables"][name] = variables[name]
        traced.origins["variables", name] = tracer.variable(name)
        if traced.origins["variables", name].kind == "unset":
            traced.values["variables"][name] = None
    return traced


class _Tracer:
    def __init__(
        self, inspection: RuleContext, given: Mapping[str, str], expander: Expander
    ) -> None:
        self._inspection = inspection
        self._document = inspection.document
        self._given = given
        self._expander = expander

    def value(self, path: Pointer, default: Any, origin: Origin) -> tuple[Any, Origin]:
        """Returns the value at `path` and its origin, or the default and its origin."""
        here: Pointer = path
        node = self._document.node(path)
        if path == ("voice", "name"):  # `voice: alba` is the short form
            whole = self._document.node(("voice",))
            if whole is not None and whole.is_scalar:
                here, node = ("voice",), whole
        if path == ("variables",):
            return {}, origin if node is None else self.written(path, None)
        if node is None:
            return default, origin
        value = self._expander.expand(node.value, here)
        return value, self.written(here, node.value)

    def written(self, path: Pointer, value: Any) -> Origin:
        """Returns the origin of the value in the file at `path`."""
        source = self._document.source
        line, column = source.point(self._document.value_span(path).start)
        return Origin("file", None, line, column, uses=tuple(self._uses(value)))

    def prompt(self, traced: TracedConfig) -> None:
        """Adds the prompt, from the agent file or from the prompt file."""
        found = self._inspection.fact(read_prompt)
        value = self._document.value
        if found.source is None:
            text, origin = value["prompt"], self.written(("prompt",), value["prompt"])
        else:
            text = found.source.text
            uses = tuple(self._uses(text))
            origin = Origin("file", found.reference, 1, 1, uses=uses)
        traced.values["prompt"] = self._expander.expand_text(text)
        traced.origins["prompt",] = origin

    def leaves(self, path: Pointer, value: Any) -> Iterator[tuple[Pointer, Origin]]:
        """Yields the origin of every value below `path`."""
        if isinstance(value, dict) and value:
            for key, each in value.items():
                yield from self.leaves((*path, key), each)
        elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
            for index, each in enumerate(value):
                yield from self.leaves((*path, index), each)
        elif path != ("tools",):
            yield path, self.written(path, None if _is_schema(path) else value)

    def variable(self, name: str) -> Origin:
        """Returns the origin of a variable's value."""
        if name in self._given:
            return Origin("given")
        path = ("variables", name, "default")
        if self._document.node(path) is None:
            return Origin("unset", detail=f"set it with --var {name}=…")
        return self.written(path, None)

    def _uses(self, value: Any) -> Iterator[Use]:
        seen = set()
        for text in _texts(value):
            for each in find_placeholders(text):
                if each.kind in ("escape", "malformed") or each.name in seen:
                    continue
                seen.add(each.name)
                yield self._use(each.kind == "environment", each.name)

    def _use(self, is_environment: bool, name: str) -> Use:
        if is_environment:
            is_set = bool(self._inspection.environment.get(name, "").strip())
            return Use(f"env:{name}", "environment" if is_set else "unset")
        origin = self.variable(name)
        if origin.kind == "file":
            return Use(name, "default", origin.line)
        return Use(name, "given" if origin.kind == "given" else "unset")


def _is_schema(path: Pointer) -> bool:
    """True if `path` is in a JSON Schema, where `${` has no meaning."""
    return path[:1] == ("tools",) and len(path) > 2 and path[2] == "parameters"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _put(traced: TracedConfig, path: Pointer, value: Any, origin: Origin) -> None:
    place = traced.values
    for key in path[:-1]:
        place = place.setdefault(str(key), {})
    place[str(path[-1])] = value
    traced.origins[path] = origin
