"""The tool kind `python`: a function in a file at or below the agent's folder.

    python: tools/weather.py:get_weather

The file is imported under a private module name each time the agent is loaded;
`sys.path` does not change. Files in the same folder are imported relatively (`from
.prices import total`); `import prices` finds installed modules only, so that a file of
an agent never shadows a module of other code.

Any callable is accepted: a plain or async function, decorated or not, a `partial`, a
bound method, an object with `__call__`. Its signature is the schema of the arguments
and its docstring the description.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from runner.config.docstring import Docstring, parse_docstring
from runner.config.model import AgentConfig, ToolConfig
from runner.config.schema import builtin_kinds
from runner.errors import ToolError
from runner.tools.execution import split_stdout, tool_output
from runner.tools.tool import (
    Tool,
    ToolDefinition,
    ToolTraits,
    declared_traits,
    define_tool,
)

if TYPE_CHECKING:
    from runner.tools.annotations import TypeConverter

_PACKAGE = "_vagent_agent_"
_NO_DEFAULT = inspect.Parameter.empty


class PythonKind:
    """Loads functions from files; one instance may load any number of agents."""

    key = "python"

    @property
    def schema(self) -> Mapping[str, Any]:
        """The schema of the settings, from the packaged agent schema."""
        return builtin_kinds()["python"]

    def __init__(self) -> None:
        self._agent: AgentConfig | None = None  # owner of `_modules`
        self._modules: dict[Path, ModuleType] = {}
        self._packages: set[Path] = set()  # folders of these modules

    def load(self, config: ToolConfig, agent: AgentConfig) -> Tool:
        """Imports the file and returns the tool of the function."""
        path, name = find_file(str(config.settings), agent.folder)
        if self._agent is not agent:
            self._agent = agent
            self._modules.clear()
            self._packages.clear()
        if path.parent not in self._packages:
            _reset_package(path)
            self._packages.add(path.parent)
        if path not in self._modules:
            self._modules[path] = _load_module(path)
        return load_function(_find_function(self._modules[path], name), config, name)


def find_file(reference: str, folder: Path) -> tuple[Path, str]:
    """Splits `path/to/file.py:function`; returns the real path and the function's name.

    Raises `ToolError` if the file is missing or, links resolved, outside `folder`.
    """
    text, colon, name = reference.rpartition(":")
    if not colon or not text or not name.isidentifier():
        raise ToolError(
            f"{reference!r} does not name a function",
            hint="write it as path/to/file.py:function",
        )
    try:
        root = folder.resolve()
        path = (root / text).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise ToolError(f"{text!r} is not a valid path") from error
    if not path.is_relative_to(root):
        raise ToolError(
            f"{text!r} is outside the agent's folder",
            hint="move it to the folder of the agent file or below",
        )
    # Path.is_file raises for invalid file names.
    if not os.path.isfile(path):
        raise ToolError(f"there is no file {text!r} in the agent's folder")
    return path, name


def _package_name(path: Path) -> str:
    digest = hashlib.sha256(str(path.parent).encode()).hexdigest()
    return _PACKAGE + digest[:16]


def _load_module(path: Path) -> ModuleType:
    name = f"{_package_name(path)}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise ToolError(f"{path.name!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    with ExitStack() as stack:
        split = split_stdout()
        if split is not None:
            stack.callback(split.restore)
        stack.enter_context(tool_output())
        stack.enter_context(_no_bytecode())
        try:
            sys.modules[name] = module
            # Compiled here, because the loader's bytecode cache compares timestamps in
            # whole seconds and would miss an edit within the same second.
            exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
        except KeyboardInterrupt:
            sys.modules.pop(name, None)
            raise
        except BaseException as error:  # of the file's top-level code
            sys.modules.pop(name, None)
            raise _describe(error, path) from error
    return module


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Disable writing bytecode: see `_load_module`."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _reset_package(path: Path) -> None:
    """Creates the private package of the file's folder, for relative imports.

    Modules of an earlier load are removed, so that edited files are read again;
    functions that still run keep their modules.
    """
    package = _package_name(path)
    for name in list(sys.modules):
        if name == package or name.startswith(f"{package}."):
            del sys.modules[name]
    module = ModuleType(package)
    module.__path__ = [str(path.parent)]
    sys.modules[package] = module
    importlib.invalidate_caches()


def _describe(error: BaseException, path: Path) -> ToolError:
    """Returns the error of an import in one line, with the place in the file."""
    if isinstance(error, SyntaxError) and error.filename:
        file = Path(error.filename).name
        return ToolError(f"{file}:{error.lineno}: {error.msg}")
    if isinstance(error, OSError | UnicodeDecodeError) and _line_in(error, path) == 0:
        return ToolError(f"{path.name!r} cannot be read: {error}")
    place = f"{path.name}:{_line_in(error, path)}"
    if isinstance(error, SystemExit):
        return ToolError(f"{place}: the file ends the program when it is loaded")
    if isinstance(error, ModuleNotFoundError) and error.name:
        sibling = error.name.partition(".")[0]
        if (path.parent / f"{sibling}.py").is_file():
            return ToolError(
                f"{place}: no module named {sibling!r}",
                hint=f"import a file of the same folder with `from . import {sibling}`",
            )
        return ToolError(
            f"{place}: no module named {error.name!r}",
            hint=f"install it where vagent runs: {sys.executable} -m pip install …",
        )
    return ToolError(f"{place}: {type(error).__name__}: {error}")


def _line_in(error: BaseException, path: Path) -> int:
    line, traceback = 0, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _find_function(module: ModuleType, name: str) -> Callable[..., object]:
    function = getattr(module, name, None)
    if callable(function) and not isinstance(function, type):
        return function  # type: ignore[no-any-return]  # callable() narrows no further
    file = f"{module.__name__.rpartition('.')[2]}.py"
    if function is not None:
        kind = "a class" if isinstance(function, type) else "not a function"
        raise ToolError(f"{name!r} in {file} is {kind}", hint="point at a function")
    functions = [
        key
        for key, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "") == module.__name__
    ]
    near = difflib.get_close_matches(name, functions, n=1)
    if near:
        hint = f"did you mean {near[0]!r}?"
    else:
        hint = f"it has: {', '.join(functions) or 'no functions'}"
    raise ToolError(f"there is no function {name!r} in {file}", hint=hint)


@dataclass(frozen=True, slots=True)
class PlainFunction:
    """A plain function; runs in a worker thread.

    The registry awaits its result if that is awaitable.
    """

    definition: ToolDefinition
    function: Callable[..., object]
    signature: Signature

    def run(self, arguments: Mapping[str, Any]) -> object:
        return self.function(**self.signature.bind(arguments))


@dataclass(frozen=True, slots=True)
class AsyncFunction:
    """A coroutine function; runs on the event loop."""

    definition: ToolDefinition
    function: Callable[..., Any]
    signature: Signature

    async def run(self, arguments: Mapping[str, Any]) -> object:
        return await self.function(**self.signature.bind(arguments))


def load_function(
    function: Callable[..., object], config: ToolConfig, name: str
) -> Tool:
    """Returns the tool of a function; raises `ToolError` if it cannot be a tool.

    `name` is the function's name in messages, and the tool's name unless the agent file
    or `tool()` sets another.
    """
    traits = declared_traits(function) or ToolTraits()
    signature = read_signature(function, name)
    if config.parameters is None:
        parameters: Mapping[str, Any] = signature.schema()
    else:
        parameters = config.parameters
        signature.check(parameters)
    own = ToolTraits(
        name=traits.name or name,
        description=traits.description or signature.docstring.description,
        timeout=traits.timeout,
        effect=traits.effect,
        on_interrupt=traits.on_interrupt,
        announce=traits.announce,
    )
    definition = define_tool(config, parameters, own)
    called = _called(function)
    if inspect.isasyncgenfunction(called) or inspect.isgeneratorfunction(called):
        raise ToolError(f"{name}() yields; a tool returns one value")
    # Checked on the outermost function: a decorator may change the kind.
    if inspect.iscoroutinefunction(called):
        return AsyncFunction(definition, function, signature)
    return PlainFunction(definition, function, signature)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of a callable; `is_open` is True if it takes any name.

    `unnamed` is a parameter that cannot be passed by name, if there is one.
    """

    named: Mapping[str, inspect.Parameter]
    unnamed: str | None
    is_open: bool


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of the tool; `make_default` is set for a default `Field(…)`.

    `problem` is the reason if there is no `converter`.
    """

    parameter: inspect.Parameter
    is_required: bool
    converter: TypeConverter | None = None
    problem: ToolError | None = None
    make_default: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """Parameters and documentation of a function.

    `described` are the parameters of the innermost function, `callable_with` those of
    the outermost decorator. `arguments` are the described ones that the model fills in.
    """

    name: str
    described: Parameters
    callable_with: Parameters
    arguments: Mapping[str, Argument]
    docstring: Docstring

    def schema(self) -> dict[str, Any]:
        """Returns the JSON Schema of the arguments; raises `ToolError` without one."""
        self._check_unnamed(self.described)
        for argument in self.arguments.values():
            if argument.problem is not None:
                raise argument.problem
        if self.described.is_open:
            raise ToolError(
                f"{self.name}() takes **arguments, whose names the model cannot know",
                hint="name the parameters, or set `parameters` in the agent file",
            )
        found = self.arguments.items()
        return {
            "type": "object",
            "properties": {
                name: self._describe(name, each.parameter, each.converter)
                for name, each in found
                if each.converter is not None
            },
            "required": [name for name, each in found if each.is_required],
        }

    def check(self, schema: Mapping[str, Any]) -> None:
        """Raises `ToolError` unless every call that `schema` allows is possible."""
        self._check_unnamed(self.callable_with)
        named = self.callable_with.named
        required = schema.get("required") or ()
        unknown = [name for name in schema.get("properties") or {} if name not in named]
        if unknown and not self.callable_with.is_open:
            raise ToolError(
                f"{self.name}() takes no {_quoted(unknown)}, which `parameters` names",
                hint=f"it takes {_quoted(named) or 'nothing'}",
            )
        for name, parameter in named.items():
            if name not in required and parameter.default is _NO_DEFAULT:
                raise ToolError(
                    f"{self.name}() needs {name!r}; `parameters` does not require it",
                    hint=f"list {name!r} under `required`, or give it a default",
                )

    def bind(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Converts checked JSON arguments to the types of the annotations.

        Raises ValueError with the name of the argument for a value that the schema
        allows and Python does not (February 31).
        """
        bound: dict[str, Any] = {}
        for name, value in arguments.items():
            argument = self.arguments.get(name)
            converter = argument.converter if argument else None
            try:
                bound[name] = converter.convert(value) if converter else value
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        for name, argument in self.arguments.items():
            if argument.make_default is not None and name not in bound:
                bound[name] = argument.make_default()
        return bound

    def _check_unnamed(self, parameters: Parameters) -> None:
        if parameters.unnamed is not None:
            raise ToolError(
                f"{self.name}() takes {parameters.unnamed!r} by position only; "
                "arguments of tools are passed by name",
            )

    def _describe(
        self, name: str, parameter: inspect.Parameter, converter: TypeConverter
    ) -> dict[str, Any]:
        schema = dict(converter.schema)
        text = self.docstring.parameters.get(name)
        if text and not converter.is_described:
            schema["description"] = text
        default = parameter.default
        if default is not _NO_DEFAULT and default is not None and _is_json(default):
            schema["default"] = default
        return schema


def read_signature(function: Callable[..., object], name: str) -> Signature:
    """Returns a function's parameters, annotations and docstring.

    Raises `ToolError` if Python cannot determine the signature.
    """
    try:
        described = _read_parameters(function, follow_wrapped=True)
    except (ValueError, TypeError) as error:
        raise ToolError(f"{name}() has no signature that Python can read") from error
    try:
        callable_with = _read_parameters(function, follow_wrapped=False)
    except (ValueError, TypeError):  # functools.cache is implemented in C
        callable_with = described
    bound = function.keywords if isinstance(function, partial) else {}
    innermost = _innermost(function)
    arguments = {
        argument: _read_argument(parameter, innermost, name)
        for argument, parameter in described.named.items()
        if argument not in bound  # already set by the partial
    }
    docstring = parse_docstring(_documentation(function))
    return Signature(name, described, callable_with, arguments, docstring)


def _read_argument(
    parameter: inspect.Parameter, function: Callable[..., object], name: str
) -> Argument:
    """Returns the argument for a parameter of the tool `name`."""
    # Loads pydantic, which a tool without arguments does not need.
    from runner.tools.annotations import Unsupported, converter_for, read_default

    try:
        hint = _resolve(parameter.annotation, function)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        problem = ToolError(
            f"{name}() has an annotation that Python cannot resolve: {error}",
            hint="import the name at run time, not only under TYPE_CHECKING",
        )
        is_required = parameter.default is _NO_DEFAULT
        return Argument(parameter, is_required, problem=problem)
    hint, make_default, is_required = read_default(hint, parameter.default)
    if parameter.annotation is _NO_DEFAULT:
        reason = "has no annotation"
    else:
        try:
            converter = converter_for(hint)
            return Argument(parameter, is_required, converter, None, make_default)
        except Unsupported as error:
            reason = f"cannot be described: {error}"
    problem = ToolError(
        f"{name}(): parameter {parameter.name!r} {reason}",
        hint="annotate it with a type that JSON knows (str, int, float, bool, list, "
        "dict, Literal, Enum, date, a dataclass, a pydantic model), or give the tool "
        "`parameters` in the agent file",
    )
    return Argument(parameter, is_required, None, problem, make_default)


def _read_parameters(
    function: Callable[..., object], *, follow_wrapped: bool
) -> Parameters:
    signature = inspect.signature(function, follow_wrapped=follow_wrapped)
    kinds = {each.kind: name for name, each in signature.parameters.items()}
    is_open = inspect.Parameter.VAR_KEYWORD in kinds
    unnamed = kinds.get(inspect.Parameter.POSITIONAL_ONLY)
    if unnamed is None and inspect.Parameter.VAR_POSITIONAL in kinds and not is_open:
        unnamed = f"*{kinds[inspect.Parameter.VAR_POSITIONAL]}"
    by_name = (
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
    )
    named = {
        k: each for k, each in signature.parameters.items() if each.kind in by_name
    }
    return Parameters(named, unnamed, is_open)


def _called(function: Callable[..., object]) -> Callable[..., object]:
    """Returns the function whose code runs first when `function` is called."""
    while isinstance(function, partial):
        function = function.func
    if inspect.isroutine(function):
        return function
    call: Callable[..., object] = type(function).__call__
    return call


def _innermost(function: Callable[..., object]) -> Callable[..., object]:
    """Returns the function inside decorators and partials."""
    inner = inspect.unwrap(_called(inspect.unwrap(function)))
    return inner if inner is function else _innermost(inner)


def _resolve(annotation: object, function: Callable[..., object]) -> Any:
    """Returns an annotation of `function` with forward references resolved."""
    names: dict[str, Any] = getattr(function, "__globals__", {})
    generic = {each.__name__: each for each in getattr(function, "__type_params__", ())}

    def look_up(text: object) -> Any:
        holder = SimpleNamespace(__annotations__={"it": text})
        found = typing.get_type_hints(
            holder, names, {**generic, "Frozen": _Frozen}, include_extras=True
        )
        return found["it"]

    try:
        return look_up(annotation)
    except TypeError:
        # A union cannot contain `Annotated[str, {…}]`: a dict has no hash.
        if not isinstance(annotation, str):
            raise
        return look_up(ast.unparse(_FreezeDicts().visit(ast.parse(annotation))))


class _Frozen(dict[str, Any]):
    """A hashable dict for annotations, which never changes."""

    def __hash__(self) -> int:  # type: ignore[override]  # dict has none
        return id(self)


class _FreezeDicts(ast.NodeTransformer):
    def visit_Dict(self, node: ast.Dict) -> ast.Call:
        return ast.Call(ast.Name("Frozen", ast.Load()), [node], [])


def _documentation(function: Callable[..., object]) -> str | None:
    if isinstance(function, partial):
        own = vars(function).get("__doc__")
        return own if isinstance(own, str) else _documentation(function.func)
    return inspect.getdoc(function) or inspect.getdoc(_called(function))


def _is_json(value: object) -> bool:
    if isinstance(value, bool | str | int):
        return True
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError):
        return False


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
